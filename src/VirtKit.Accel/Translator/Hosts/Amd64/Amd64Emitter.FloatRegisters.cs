using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Where floating-point values are, and how they get there.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    /// <summary>The home of a register's value, or a scratch register that is loaded now.</summary>
    private Xmm Vector(short value, Xmm scratch)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        Xmm home = _homes.VectorOf(op.Detail);
        if (home != Xmm.None)
            return home;
        _asm.LoadDouble(scratch, GuestRegisters.Slot(op.Detail));
        return scratch;
    }

    /// <summary>The register in which a result may be computed before it is checked: its home, unless the fallback would need the old value there as an operand.</summary>
    private Xmm ResultRegister(int index, in IrOp op)
    {
        if (!TryFloatDestination(index, out int register))
            return Work;
        Xmm home = _homes.VectorOf(register);
        bool isOperand = IsRegister(op.A, register) || IsRegister(op.B, register) || IsRegister(op.C, register);
        return home == Xmm.None || isOperand ? Work : home;
    }

    private bool IsRegister(short value, int register) => value >= 0 && _block.Ops[value] is { Code: IrCode.ReadFloat } read && read.Detail == register;

    private bool TryFloatDestination(int index, out int register)
    {
        int next = NextEffect(index);
        register = 0;
        if (next == _block.OpCount || _block.Ops[next] is not { Code: IrCode.WriteFloat } write || write.A != index)
            return false;
        register = write.Detail;
        return true;
    }

    private void Finish(int index, Xmm result) => _vectors[index] = result;

    /// <summary>As <see cref="Finish"/>, of an operation, which leaves above a single what its first operand has there: ones, or what has to become zeroes.</summary>
    private void FinishFloat(int index, in IrOp op, Xmm result)
    {
        if (op.Detail2 == (byte)FloatFormat.Single)
        {
            _asm.Mov(Gp.Rax, result, Size.Bits32);
            _asm.Mov(Work, Gp.Rax, Size.Bits32);
            result = Work;
        }

        Finish(index, result);
    }

    private void Copy(Xmm to, Xmm from)
    {
        if (to != from)
            _asm.Mov(to, from);
    }

    private void EmitWriteFloat(in IrOp op)
    {
        ref readonly IrOp value = ref _block.Ops[op.A];
        bool boxed = (value.Code == IrCode.Float && value.Detail2 == (byte)FloatFormat.BoxedSingle) || IsBox(value);
        _boxed = boxed ? _boxed | 1UL << op.Detail : _boxed & ~(1UL << op.Detail);
        Xmm home = _homes.VectorOf(op.Detail), from = _vectors[op.A];
        if (from != Xmm.None)
        {
            if (home == Xmm.None)
                _asm.StoreDouble(GuestRegisters.Slot(op.Detail), from);
            else
                Copy(home, from);
            return;
        }

        int free = Free;
        Gp register = Use(op.A, ref free);
        if (home == Xmm.None)
            _asm.Store(GuestRegisters.Slot(op.Detail), register);
        else
            _asm.Mov(home, register, Size.Bits64);
    }

    private bool IsBox(in IrOp value) => value.Code == IrCode.Or && _block.Ops[value.B] is { Code: IrCode.Constant, Imm: FloatFormats.AboveBoxed };

    /// <summary>A load straight into a vector register, where that is what the instruction does with it.</summary>
    private bool TryLoadFloat(int index, MemoryWidth width, in Mem operand)
    {
        int next = NextEffect(index);
        if (next == _block.OpCount || _block.Ops[next] is not { Code: IrCode.WriteFloat } write)
            return false;
        if (width is MemoryWidth.Double or MemoryWidth.Word && write.A == index)
        {
            Xmm home = _homes.VectorOf(write.Detail);
            Xmm to = home == Xmm.None ? Work : home;
            if (width == MemoryWidth.Double)
                _asm.LoadDouble(to, operand);
            else
                _asm.LoadSingle(to, operand);
            Finish(index, to);
            return true;
        }

        ref readonly IrOp box = ref _block.Ops[write.A];
        if (width != MemoryWidth.Word || !IsBox(box) || box.A != index)
            return false;
        _asm.LoadSingle(Work, operand);
        _asm.Logic(LogicOr, Work, Work, GuestRegisters.Field(ContextLayout.Box));
        Finish(write.A, Work);
        return true;
    }

    private bool TryStoreFloat(short value, int bytes, in Mem operand)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        Xmm home = op.Code == IrCode.ReadFloat ? _homes.VectorOf(op.Detail) : Xmm.None;
        if (home == Xmm.None)
            return false;
        if (bytes == 8)
            _asm.StoreDouble(operand, home);
        else
            _asm.StoreSingle(operand, home);
        return true;
    }

    private int NextEffect(int index)
    {
        int next = index + 1;
        while (next < _block.OpCount && _block.Ops[next].Code < IrCode.Load)
            next++;
        return next;
    }
}
