using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Extensions, shifts, rotations and counts.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    private void ExtendInto(in IrOp op, Gp to, int free)
    {
        bool sign = op.Code == IrCode.SignExtend;
        ref readonly IrOp source = ref _block.Ops[op.A];
        bool inRegister = TryRegister(op.A, out Gp from);
        if (op.Detail == 32)
        {
            if (sign && source.Code == IrCode.ReadInteger && !inRegister)
            {
                _asm.MoveSign32(to, GuestRegisters.Slot(source.Detail));
                return;
            }

            if (inRegister)
            {
                if (sign)
                    _asm.MoveSign32(to, from);
                else
                    _asm.Move(to, from, Size.Bits32);
                return;
            }

            bool zeroed = Into(op.A, to, free, Size.Bits32);
            if (sign)
                _asm.MoveSign32(to, to);
            else if (!zeroed)
                _asm.Move(to, to, Size.Bits32);
            return;
        }

        if (!inRegister)
        {
            Into(op.A, to, free);
            from = to;
        }

        if (op.Detail == 8 && sign)
            _asm.MoveSign8(to, from);
        else if (op.Detail == 8)
            _asm.MoveZero8(to, from);
        else if (op.Detail == 16 && sign)
            _asm.MoveSign16(to, from);
        else
            _asm.MoveZero16(to, from);
    }

    private void ShiftInto(in IrOp op, Gp to, int free)
    {
        if (TryImmediate(op.B, out int amount))
        {
            Into(op.A, to, free);
            _asm.Shift(op.Code switch { IrCode.ShiftLeft => Shift.Shl, IrCode.ShiftRightLogical => Shift.Shr, _ => Shift.Sar }, to, amount & 63);
            return;
        }

        Gp by = Use(op.B, ref free), from = Use(op.A, ref free);
        switch (op.Code)
        {
            case IrCode.ShiftLeft:
                _asm.Shlx(to, from, by, Size.Bits64);
                break;
            case IrCode.ShiftRightLogical:
                _asm.Shrx(to, from, by, Size.Bits64);
                break;
            default:
                _asm.Sarx(to, from, by, Size.Bits64);
                break;
        }
    }

    private void RotateInto(in IrOp op, Gp to, int free)
    {
        Size size = op.Code == IrCode.RotateRight ? Size.Bits64 : Size.Bits32;
        if (TryImmediate(op.B, out int amount))
        {
            if (!TryRegister(op.A, out Gp from))
            {
                Into(op.A, to, free);
                from = to;
            }

            _asm.Rorx(to, from, size == Size.Bits64 ? amount & 63 : amount & 31, size);
        }
        else
        {
            // The count has to be in cl; rotations stand alone in their instructions, so that rcx is free.
            Into(op.B, Gp.Rcx, free);
            free &= ~Bit(Gp.Rcx);
            Gp work = Take(ref free);
            Into(op.A, work, free);
            _asm.ShiftByCl(Shift.Ror, work, size);
            _asm.Move(to, work, size);
        }

        if (size == Size.Bits32)
            _asm.MoveSign32(to, to);
    }

    private void CountInto(in IrOp op, Gp to, int free)
    {
        Gp from = Use(op.A, ref free);
        Size size = op.Detail2 == 32 ? Size.Bits32 : Size.Bits64;
        switch ((BitCount)op.Detail)
        {
            case BitCount.LeadingZeros:
                _asm.CountLeadingZeros(to, from, size);
                break;
            case BitCount.TrailingZeros:
                _asm.CountTrailingZeros(to, from, size);
                break;
            default:
                _asm.CountOnes(to, from, size);
                break;
        }
    }

    private void OrCombineInto(in IrOp op, Gp to, int free)
    {
        // Bytes that equal 0, inverted.
        _asm.Mov(Xmm.V14, Use(op.A, ref free), Size.Bits64);
        _asm.Logic(0xef, Xmm.V15, Xmm.V15, Xmm.V15);
        _asm.Logic(0x74, Xmm.V14, Xmm.V14, Xmm.V15);
        _asm.Mov(to, Xmm.V14, Size.Bits64);
        _asm.Unary(Unary.Not, to);
    }
}
