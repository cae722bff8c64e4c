using VirtKit.Accel.Translator.Ir;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Operations of two operands: sums, products and bitwise ones.</summary>
internal sealed unsafe partial class Amd64Emitter
{
    private void Binary(in IrOp op, Gp to, int free, Size size)
    {
        short a = op.A, b = op.B;
        if (TryImmediate(b, out int imm))
        {
            BinaryImmediate(op.Code, a, imm, to, free, size);
            return;
        }

        bool commutes = op.Code != IrCode.Sub;
        if (op.Code == IrCode.Add && TryAddress(a, b, to, free, size))
            return;
        if (References(b, to))
        {
            if (commutes && !References(a, to))
            {
                (a, b) = (b, a);
            }
            else if (op.Code == IrCode.Sub && TryRegister(b, out _) && TryRegister(a, out Gp minuend) && minuend != to)
            {
                _asm.Unary(Unary.Neg, to, size);
                _asm.Alu(Alu.Add, to, minuend, size);
                return;
            }
            else if (!(IsLeaf(a) && TryRegister(a, out Gp same) && same == to))
            {
                Gp temporary = Take(ref free);
                Into(a, temporary, free, size);
                Apply(op.Code, temporary, b, free, size);
                _asm.Move(to, temporary, size);
                return;
            }
        }
        else if (commutes && IsLeaf(a) && !IsLeaf(b) && !References(a, to))
        {
            (a, b) = (b, a);
        }

        Into(a, to, free, size);
        Apply(op.Code, to, b, free, size);
    }

    private void BinaryImmediate(IrCode code, short a, int imm, Gp to, int free, Size size)
    {
        if (code == IrCode.Sub)
        {
            code = IrCode.Add;
            imm = unchecked(-imm);
        }

        bool inRegister = TryRegister(a, out Gp register);
        if (code == IrCode.Mul)
        {
            if (!inRegister)
                Into(a, to, free, size);
            _asm.Multiply(to, inRegister ? register : to, imm, size);
            return;
        }

        if (code == IrCode.Add && inRegister && register != to)
        {
            _asm.Lea(to, new Mem(register, imm), size);
            return;
        }

        Into(a, to, free, size);
        _asm.Alu(AluOf(code), to, imm, size);
    }

    /// <summary>A sum of two registers, the second of them perhaps shifted, in one instruction.</summary>
    private bool TryAddress(short a, short b, Gp to, int free, Size size)
    {
        if (_block.Ops[a].Code == IrCode.ShiftLeft)
            (a, b) = (b, a);
        if (!TryRegister(a, out Gp first))
            return false;
        ref readonly IrOp second = ref _block.Ops[b];
        if (second.Code == IrCode.ShiftLeft && TryImmediate(second.B, out int shift) && shift is >= 1 and <= 3)
        {
            // The scaled register may be computed into the place of the result where the first one is not that place.
            if (!TryRegister(second.A, out Gp index))
            {
                index = first == to ? Take(ref free) : to;
                Into(second.A, index, free);
            }

            _asm.Lea(to, new Mem(first, 0, index, (byte)shift), size);
            return true;
        }

        if (!TryRegister(b, out Gp other) || first == to || other == to)
            return false;
        _asm.Lea(to, new Mem(first, 0, other), size);
        return true;
    }

    /// <summary>to = to op b, where b does not read to unless it is to.</summary>
    private void Apply(IrCode code, Gp to, short b, int free, Size size)
    {
        ref readonly IrOp op = ref _block.Ops[b];
        if (op.Code == IrCode.ReadInteger && !TryRegister(b, out _))
        {
            if (code == IrCode.Mul)
                _asm.Multiply(to, GuestRegisters.Slot(op.Detail), size);
            else
                _asm.Alu(AluOf(code), to, GuestRegisters.Slot(op.Detail), size);
            return;
        }

        Gp source = Use(b, ref free);
        if (code == IrCode.Mul)
            _asm.Multiply(to, source, size);
        else
            _asm.Alu(AluOf(code), to, source, size);
    }

    private static Alu AluOf(IrCode code) => code switch
    {
        IrCode.Add => Alu.Add,
        IrCode.Sub => Alu.Sub,
        IrCode.And => Alu.And,
        IrCode.Or => Alu.Or,
        _ => Alu.Xor,
    };
}
