using VirtKit.Accel.Translator.Guests;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>Writes ops into a block, knows what is known about values, and drops an instruction's ops for a fallback where one of them has no emitter.</summary>
internal sealed class IrBuilder(IrBlock block, IIrTarget target, GuestRegisterFile guest)
{
    private readonly RegisterFacts _facts = new(block);
    private int _firstOp;
    private bool _givesUp;
    private bool _mayForward;
    private bool _floatInUse;

    /// <summary>The address of the instruction that is being recorded.</summary>
    public ulong Pc { get; private set; }

    /// <summary>The address behind it.</summary>
    public ulong NextPc { get; private set; }

    public IrBlock Block => block;

    /// <summary>Whether an instruction's expression may take in the one before it.</summary>
    public bool Forwards { get; set; } = true;

    public void BeginBlock(ulong pc)
    {
        block.Clear(pc);
        _facts.Clear();
        _floatInUse = false;
    }

    /// <param name="isPure">Whether the instruction only computes a register from registers: then what the instruction before it computed for the same
    /// register may be taken into this one's expression.</param>
    public void BeginInstruction(in GuestInstruction instruction, bool isPure)
    {
        block.Instructions[block.InstructionCount++] = instruction;
        Pc = instruction.Pc;
        NextPc = block.NextPc = Pc + instruction.Length;
        _firstOp = block.OpCount;
        _givesUp = false;
        Operands o = instruction.Operands;
        _mayForward = isPure && Forwards;
        _facts.BeginInstruction(o.Rd);
    }

    /// <param name="goesOn">Whether execution goes on behind the instruction where it has an emitter.</param>
    /// <param name="end">What follows where it has none.</param>
    /// <returns>Whether the block may go on behind the instruction.</returns>
    public bool EndInstruction(bool goesOn, BlockEnd end)
    {
        if (_givesUp)
        {
            block.OpCount = _firstOp;
            _facts.Forget();
            Effect(IrCode.Fallback, detail: (byte)end);
            return end == BlockEnd.None;
        }

        _facts.EndInstruction(_mayForward);
        return goesOn;
    }

    /// <summary>The whole instruction has to be the shared function.</summary>
    public bool Give(out Value value)
    {
        _givesUp = true;
        value = Constant(0);
        return true;
    }

    public Value Constant(ulong value) => Emit(IrCode.Constant, imm: value, signedBits: ValueBits.Signed(value), unsignedBits: ValueBits.Unsigned(value));

    public Value Read(int slot) => guest.IsFloat(slot) ? Emit(IrCode.ReadFloat, detail: (byte)slot) : ReadInteger(slot);

    /// <summary>A write to what is no register that can be written is none.</summary>
    public bool Write(int slot, Value value)
    {
        if (guest.IsFloat(slot))
            return Effect(IrCode.WriteFloat, value, detail: (byte)slot);
        if (!guest.IsWritableInteger(slot))
            return true;
        _facts.Write(slot, value.Index);
        return Effect(IrCode.WriteInteger, value, detail: (byte)slot);
    }

    private Value ReadInteger(int register)
    {
        if (register == guest.Zero)
            return Constant(0);
        short known = _facts.ValueOf(register);
        if (known >= 0 && block.Ops[known].IsConstant)
            return Constant(block.Ops[known].Imm);
        if (_mayForward && _facts.TryForward(register, out short forwarded))
            return new Value(forwarded);
        (byte signed, byte unsigned) = known >= 0 ? (block.Ops[known].SignedBits, block.Ops[known].UnsignedBits) : ((byte)64, (byte)64);
        return Emit(IrCode.ReadInteger, detail: (byte)register, imm: _facts.VersionOf(register), signedBits: signed, unsignedBits: unsigned);
    }

    public Value Unary(IrCode code, Value a) => Emit(code, a.Index);

    public Value Binary(IrCode code, Value a, Value b, byte detail = 0, byte detail2 = 0, ulong imm = 0)
    {
        var op = new IrOp { Code = code, A = a.Index, B = b.Index, C = -1, Detail = detail, Detail2 = detail2, Imm = imm, SignedBits = 64, UnsignedBits = 64 };
        return Folding.TryFold(this, ref op, out Value folded) ? folded
            : Emit(code, op.A, op.B, detail: detail, detail2: detail2, imm: imm, signedBits: op.SignedBits, unsignedBits: op.UnsignedBits);
    }

    public Value Extend(IrCode code, Value a, int fromBits)
    {
        ref readonly IrOp operand = ref block.Ops[a.Index];
        if (code == IrCode.SignExtend ? operand.SignedBits <= fromBits : operand.UnsignedBits <= fromBits)
            return a;
        if (operand.IsConstant)
        {
            int shift = 64 - fromBits;
            return Constant(code == IrCode.SignExtend ? (ulong)((long)(operand.Imm << shift) >> shift) : operand.Imm << shift >> shift);
        }

        return code == IrCode.SignExtend
            ? Emit(code, a.Index, detail: (byte)fromBits, signedBits: (byte)fromBits)
            : Emit(code, a.Index, detail: (byte)fromBits, signedBits: (byte)(fromBits + 1), unsignedBits: (byte)fromBits);
    }

    /// <summary>A branch. Where it asks for a flag that a comparison of this block has left in a register, it becomes that comparison, so that the host decides it by its own flags.</summary>
    public bool Branch(Comparison comparison, Value a, Value b, ulong target)
    {
        bool asksForFlag = comparison is Comparison.Equal or Comparison.NotEqual && block.Ops[b.Index] is { IsConstant: true, Imm: 0 };
        ref readonly IrOp flag = ref Definition(a.Index);
        if (asksForFlag && flag.Code == IrCode.Compare && TryReadAgain(flag.A, out Value x) && TryReadAgain(flag.B, out Value y))
            (comparison, a, b) = (comparison == Comparison.NotEqual ? (Comparison)flag.Detail : ((Comparison)flag.Detail).Opposite(), x, y);
        return Effect(IrCode.Branch, a, b, (byte)comparison, target);
    }

    /// <summary>Gives a value of an instruction before this one: a constant, or what a register holds still, or holds now.</summary>
    private bool TryReadAgain(short value, out Value again)
    {
        ref readonly IrOp op = ref block.Ops[value];
        again = new Value(value);
        if (op.Instruction == block.InstructionCount - 1)
            return true;
        if (op.IsConstant)
            again = Constant(op.Imm);
        else if (IsCurrent(op))
            again = ReadInteger(op.Detail);
        else if (_facts.TryFindRegister(value, out int register))
            again = ReadInteger(register);
        else
            return false;
        return true;
    }

    public bool UseFloat()
    {
        // Nothing inside a block can take the unit away again.
        if (!_floatInUse)
            Effect(IrCode.UseFloat);
        _floatInUse = true;
        return true;
    }

    public bool JumpTo(Value address)
    {
        ref readonly IrOp op = ref block.Ops[address.Index];
        if (op.IsConstant)
            return Effect(IrCode.Jump, imm: op.Imm);
        // The address is fixed before the link register, which it may be computed from, is written.
        int last = block.OpCount - 1;
        if (last < _firstOp || block.Ops[last].Code != IrCode.WriteInteger)
            return Effect(IrCode.Target, address);
        (short link, byte register) = (block.Ops[last].A, block.Ops[last].Detail);
        block.OpCount = last;
        Effect(IrCode.Target, address);
        return Effect(IrCode.WriteInteger, new Value(link), detail: register);
    }

    public bool Effect(IrCode code, Value? a = null, Value? b = null, byte detail = 0, ulong imm = 0)
    {
        Emit(code, a?.Index ?? -1, b?.Index ?? -1, detail: detail, imm: imm);
        return true;
    }

    public Value Emit(
        IrCode code, short a = -1, short b = -1, short c = -1, byte detail = 0, byte detail2 = 0, ulong imm = 0, byte signedBits = 64, byte unsignedBits = 64)
    {
        int index = block.OpCount++;
        // Field by field: a structure that is built elsewhere and copied makes the processor wait for its parts.
        ref IrOp op = ref block.Ops[index];
        op.Code = code;
        op.Detail = detail;
        op.Detail2 = detail2;
        op.SignedBits = signedBits;
        op.UnsignedBits = unsignedBits;
        op.Group = 0;
        op.A = a;
        op.B = b;
        op.C = c;
        op.Imm = imm;
        op.Instruction = (short)(block.InstructionCount - 1);
        if (op.Code >= IrCode.Load && !target.Supports(op))
            _givesUp = true;
        return new Value((short)index);
    }

    /// <summary>Whether a register still holds what it held when a <see cref="IrCode.ReadInteger"/> was recorded.</summary>
    public bool IsCurrent(in IrOp read) => read.Code == IrCode.ReadInteger && _facts.VersionOf(read.Detail) == read.Imm;

    /// <summary>The op whose value a value is: for a register, the one that was last written to it in this block.</summary>
    public ref readonly IrOp Definition(short value)
    {
        ref readonly IrOp op = ref block.Ops[value];
        if (op.Code == IrCode.ReadInteger && IsCurrent(op) && _facts.ValueOf(op.Detail) is >= 0 and short known)
            return ref block.Ops[known];
        return ref op;
    }
}

/// <summary>What an emitter can do.</summary>
internal interface IIrTarget
{
    /// <summary>Whether there is an emitter for an op with effects; if not, its instruction becomes a fallback.</summary>
    bool Supports(in IrOp op);
}
