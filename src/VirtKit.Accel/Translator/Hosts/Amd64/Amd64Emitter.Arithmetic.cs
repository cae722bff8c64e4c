using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>What takes rax and rdx: they stand alone in their instructions, so that all scratch registers are free.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    private void MulHighInto(in IrOp op, Gp to)
    {
        if (!TryRegister(op.B, out Gp b))
        {
            b = Gp.Rcx;
            Into(op.B, b, 0);
        }

        Into(op.A, Gp.Rax, 0);
        _asm.Unary((Signedness)op.Detail == Signedness.Signed ? Unary.Imul : Unary.Mul, b);
        if ((Signedness)op.Detail == Signedness.Mixed)
        {
            // A negative first operand counted 2^64 too much.
            Into(op.A, Gp.Rax, 0);
            _asm.Shift(Shift.Sar, Gp.Rax, 63);
            _asm.Alu(Alu.And, Gp.Rax, b);
            _asm.Alu(Alu.Sub, Gp.Rdx, Gp.Rax);
        }

        _asm.Move(to, Gp.Rdx);
    }

    private void DivideInto(in IrOp op, Gp to)
    {
        var part = (DivisionPart)op.Detail2;
        bool signed = (Signedness)op.Detail == Signedness.Signed;
        Size size = op.Imm == 32 ? Size.Bits32 : Size.Bits64;
        Into(op.B, Gp.Rcx, 0);
        Into(op.A, Gp.Rax, 0);
        byte* special;
        if (signed)
        {
            // 0 and -1, with one comparison.
            _asm.Lea(Gp.Rdx, new Mem(Gp.Rcx, 1), size);
            _asm.Alu(Alu.Cmp, Gp.Rdx, 1, size);
            special = _asm.JumpShort(Condition.BelowOrEqual);
        }
        else
        {
            _asm.Test(Gp.Rcx, Gp.Rcx, size);
            special = _asm.JumpShort(Condition.Equal);
        }

        byte* narrowDone = null;
        if (size == Size.Bits64)
        {
            // The host divides half the width in a fraction of the time.
            _asm.Move(Gp.Rdx, Gp.Rax);
            _asm.Alu(Alu.Or, Gp.Rdx, Gp.Rcx);
            _asm.Shift(Shift.Shr, Gp.Rdx, 32);
            byte* wide = _asm.JumpShort(Condition.NotEqual);
            _asm.Unary(Unary.Div, Gp.Rcx, Size.Bits32);
            narrowDone = _asm.JumpShort();
            _asm.BindShort(wide);
        }

        if (signed)
        {
            _asm.SignIntoRdx(size);
            _asm.Unary(Unary.Idiv, Gp.Rcx, size);
        }
        else
        {
            _asm.Alu(Alu.Xor, Gp.Rdx, Gp.Rdx, Size.Bits32);
            _asm.Unary(Unary.Div, Gp.Rcx, size);
        }

        byte* done = _asm.JumpShort();
        _asm.BindShort(special);
        byte* minusOne = null, zeroDone = null;
        if (signed)
        {
            _asm.Test(Gp.Rcx, Gp.Rcx, size);
            minusOne = _asm.JumpShort(Condition.NotEqual);
        }

        // By zero: all ones, and the dividend remains.
        _asm.Move(Gp.Rdx, Gp.Rax);
        _asm.Constant(Gp.Rax, ulong.MaxValue);
        if (signed)
        {
            zeroDone = _asm.JumpShort();
            _asm.BindShort(minusOne);
            _asm.Unary(Unary.Neg, Gp.Rax, size);
            _asm.Alu(Alu.Xor, Gp.Rdx, Gp.Rdx, Size.Bits32);
            _asm.BindShort(zeroDone);
        }

        _asm.BindShort(done);
        if (narrowDone != null)
            _asm.BindShort(narrowDone);
        Gp result = part == DivisionPart.Quotient ? Gp.Rax : Gp.Rdx;
        if (size == Size.Bits32)
            _asm.MoveSign32(to, result);
        else
            _asm.Move(to, result);
    }
}
