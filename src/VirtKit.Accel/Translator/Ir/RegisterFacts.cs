using VirtKit.Accel.Translator.Guests;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>Which value of a block each integer register holds while the block is being recorded.</summary>
internal sealed class RegisterFacts(IrBlock block)
{
    private readonly short[] _values = new short[GuestRegisterFile.MaxSlots];
    private readonly ushort[] _versions = new ushort[GuestRegisterFile.MaxSlots];
    private int _destination;
    private int _writeOp;
    private short _valueBefore;
    private int _forwardable;

    public short ValueOf(int register) => _values[register];

    public ushort VersionOf(int register) => _versions[register];

    /// <summary>Finds a register that holds a value.</summary>
    public bool TryFindRegister(short value, out int register)
    {
        register = Array.IndexOf(_values, value);
        return register >= 0;
    }

    public void Clear()
    {
        Forget();
        Array.Clear(_versions);
        _forwardable = -1;
        _writeOp = -1;
    }

    /// <summary>Any register may hold anything.</summary>
    public void Forget()
    {
        Array.Fill(_values, (short)-1);
        foreach (ref ushort version in _versions.AsSpan())
            version++;
        _forwardable = -1;
        _writeOp = -1;
    }

    public void BeginInstruction(int destination)
    {
        _destination = destination;
        if (_forwardable != destination)
            _forwardable = -1;
    }

    /// <param name="isPure">Whether the instruction computed one register from registers and did nothing else.</param>
    public void EndInstruction(bool isPure)
    {
        _forwardable = isPure && _writeOp >= 0 ? _destination : -1;
        if (!isPure)
            _writeOp = -1;
    }

    public void Write(int register, short value)
    {
        _valueBefore = _values[register];
        _writeOp = block.OpCount;
        _values[register] = value;
        _versions[register]++;
    }

    /// <summary>Takes back the write of the instruction before this one, whose register this one overwrites: its expression becomes part of this one's.</summary>
    public bool TryForward(int register, out short value)
    {
        value = _values[register];
        if (_forwardable != register || value < 0 || !IsSimple(block.Ops[value].Code) || Scratch(value) > 1)
            return false;
        _forwardable = -1;
        block.Ops[_writeOp].Code = IrCode.None;
        _values[register] = _valueBefore;
        _versions[register]--;
        _writeOp = -1;
        return true;
    }

    /// <summary>Operations that need no particular host register, so that they can be part of any expression.</summary>
    private static bool IsSimple(IrCode code) => code is IrCode.Add or IrCode.Sub or IrCode.And or IrCode.Or or IrCode.Xor or IrCode.Not or IrCode.ShiftLeft
        or IrCode.ShiftRightLogical or IrCode.ShiftRightArithmetic or IrCode.SignExtend or IrCode.ZeroExtend;

    /// <summary>How many registers, beside that of the result, an expression takes to compute; at least.</summary>
    private int Scratch(short value)
    {
        if (value < 0)
            return 0;
        ref readonly IrOp op = ref block.Ops[value];
        if (op.Code is IrCode.Constant or IrCode.ReadInteger)
            return 0;
        bool isLeaf = op.B < 0 || block.Ops[op.B].Code is IrCode.Constant or IrCode.ReadInteger;
        return Math.Max(Scratch(op.A), isLeaf ? 0 : 1 + Scratch(op.B));
    }
}
