using VirtKit.Accel.Translator.Ir;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.X64;

/// <summary>Expressions.</summary>
internal sealed unsafe partial class X64Emitter
{
    /// <summary>A register that holds a value: its home, or a scratch register that is computed now and taken from <paramref name="free"/>.</summary>
    private Gp Use(short value, ref int free)
    {
        if (TryRegister(value, out Gp register))
            return register;
        register = Take(ref free);
        Into(value, register, free);
        return register;
    }

    private bool TryRegister(short value, out Gp register)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        register = op.Code == IrCode.ReadX ? GuestRegisters.HomeOf(op.Detail) : Gp.None;
        if (register == Gp.None)
            register = _locations[value];
        return register != Gp.None;
    }

    private bool IsLeaf(short value) => _block.Ops[value].Code == IrCode.ReadX || _locations[value] != Gp.None;

    private bool TryImmediate(short value, out int imm)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        imm = (int)op.Imm;
        return op.IsConstant && (long)op.Imm == imm;
    }

    /// <summary>Whether computing a value reads a register.</summary>
    private bool References(short value, Gp register)
    {
        if (value < 0)
            return false;
        if (TryRegister(value, out Gp own))
            return own == register;
        ref readonly IrOp op = ref _block.Ops[value];
        return References(op.A, register) || References(op.B, register) || References(op.C, register);
    }

    /// <summary>Computes a value into a register, which may be one that it reads. Changes no other register but those of <paramref name="free"/>.</summary>
    private void Into(short value, Gp to, int free)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        free &= ~Bit(to);
        if (TryRegister(value, out Gp register))
        {
            if (register != to)
                _asm.Move(to, register);
            return;
        }

        switch (op.Code)
        {
            case IrCode.Constant:
                if (op.Imm == 0)
                    _asm.Alu(Alu.Xor, to, to, Size.Bits32);
                else
                    _asm.Constant(to, op.Imm);
                break;
            case IrCode.ReadX:
                _asm.Load(to, GuestRegisters.SlotX(op.Detail));
                break;
            case IrCode.ReadF:
                Xmm vector = GuestRegisters.VectorOf(op.Detail);
                if (vector == Xmm.None)
                    _asm.Load(to, GuestRegisters.SlotF(op.Detail));
                else
                    _asm.Mov(to, vector, Size.Bits64);
                break;
            case IrCode.Add or IrCode.Sub or IrCode.And or IrCode.Or or IrCode.Xor or IrCode.Mul:
                Binary(op, to, free, Size.Bits64);
                break;
            case IrCode.Not:
                Into(op.A, to, free);
                _asm.Unary(Unary.Not, to);
                break;
            case IrCode.ShiftLeft or IrCode.ShiftRightLogical or IrCode.ShiftRightArithmetic:
                ShiftInto(op, to, free);
                break;
            case IrCode.RotateRight or IrCode.RotateRight32:
                RotateInto(op, to, free);
                break;
            case IrCode.SignExtend or IrCode.ZeroExtend:
                ExtendInto(op, to, free);
                break;
            case IrCode.Compare:
                Condition condition = EmitCompare(op, free | Bit(to) & Scratch);
                _asm.Set(condition, to);
                _asm.MoveZero8(to, to);
                break;
            case IrCode.Select:
                SelectInto(op, to, free);
                break;
            case IrCode.Count:
                CountInto(op, to, free);
                break;
            case IrCode.ReverseBytes:
                Into(op.A, to, free);
                _asm.ReverseBytes(to);
                break;
            case IrCode.OrCombine:
                OrCombineInto(op, to, free);
                break;
            case IrCode.MulHigh:
                MulHighInto(op, to);
                break;
            case IrCode.Divide:
                DivideInto(op, to);
                break;
            default:
                throw new InvalidOperationException($"{op.Code} is no value.");
        }
    }

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
        if (op.Code == IrCode.ReadX && !TryRegister(b, out _))
        {
            if (code == IrCode.Mul)
                _asm.Multiply(to, GuestRegisters.SlotX(op.Detail), size);
            else
                _asm.Alu(AluOf(code), to, GuestRegisters.SlotX(op.Detail), size);
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

    /// <summary>As <see cref="Into(short, Gp, int)"/>, where only the low bits of that size matter.</summary>
    /// <returns>Whether the bits above are known to be zero.</returns>
    private bool Into(short value, Gp to, int free, Size size)
    {
        if (size == Size.Bits64)
        {
            Into(value, to, free);
            return false;
        }

        ref readonly IrOp op = ref _block.Ops[value];
        free &= ~Bit(to);
        if (TryRegister(value, out Gp register))
        {
            if (register != to)
                _asm.Move(to, register, Size.Bits32);
            return register != to;
        }

        switch (op.Code)
        {
            case IrCode.ReadX:
                _asm.Load(to, GuestRegisters.SlotX(op.Detail), Size.Bits32);
                return true;
            case IrCode.Add or IrCode.Sub or IrCode.And or IrCode.Or or IrCode.Xor or IrCode.Mul:
                Binary(op, to, free, Size.Bits32);
                return true;
            case IrCode.SignExtend or IrCode.ZeroExtend when op.Detail == 32:
                return Into(op.A, to, free, Size.Bits32);
            case IrCode.ShiftLeft when TryImmediate(op.B, out int amount) && amount < 32:
                Into(op.A, to, free, Size.Bits32);
                _asm.Shift(Shift.Shl, to, amount, Size.Bits32);
                return true;
            case IrCode.ShiftLeft when IsMasked31(op.B, out short count):
            {
                Gp by = Use(count, ref free), from = Use(op.A, ref free);
                _asm.Shlx(to, from, by, Size.Bits32);
                return true;
            }

            case IrCode.ShiftRightLogical when IsMasked31(op.B, out short count) && _block.Ops[op.A] is { Code: IrCode.ZeroExtend, Detail: 32 } extended:
            {
                Gp by = Use(count, ref free), from = Use(extended.A, ref free);
                _asm.Shrx(to, from, by, Size.Bits32);
                return true;
            }

            default:
                Into(value, to, free);
                return op.UnsignedBits <= 32;
        }
    }

    private bool IsMasked31(short value, out short count)
    {
        ref readonly IrOp op = ref _block.Ops[value];
        count = op.A;
        return op.Code == IrCode.And && TryImmediate(op.B, out int mask) && mask == 31;
    }

    private void ExtendInto(in IrOp op, Gp to, int free)
    {
        bool sign = op.Code == IrCode.SignExtend;
        ref readonly IrOp source = ref _block.Ops[op.A];
        bool inRegister = TryRegister(op.A, out Gp from);
        if (op.Detail == 32)
        {
            if (sign && source.Code == IrCode.ReadX && !inRegister)
            {
                _asm.MoveSign32(to, GuestRegisters.SlotX(source.Detail));
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

    private void SelectInto(in IrOp op, Gp to, int free)
    {
        Gp chosen = Use(op.B, ref free);
        ref readonly IrOp test = ref _block.Ops[op.A];
        bool isHome = (Bit(to) & Scratch) == 0;
        Gp work = (isHome && References(op.A, to)) || chosen == to ? Take(ref free) : to;
        Into(op.C, work, free & ~Bit(work));
        free &= ~Bit(work);
        // The comparison is mostly of these two.
        (Gp placeB, Gp placeC) = (_locations[op.B], _locations[op.C]);
        _locations[op.B] = chosen;
        _locations[op.C] = work;
        Condition condition;
        if (test.Code == IrCode.Compare)
        {
            condition = EmitCompare(test, free);
        }
        else
        {
            Gp register = Use(op.A, ref free);
            _asm.Test(register, register);
            condition = Condition.NotEqual;
        }

        _locations[op.B] = placeB;
        _locations[op.C] = placeC;
        _asm.MoveIf(condition, work, chosen);
        if (work != to)
            _asm.Move(to, work);
    }

    /// <summary>Sets the flags.</summary>
    /// <returns>The condition under which the comparison holds.</returns>
    private Condition EmitCompare(in IrOp op, int free)
    {
        Condition condition = (Comparison)op.Detail switch
        {
            Comparison.Equal => Condition.Equal,
            Comparison.NotEqual => Condition.NotEqual,
            Comparison.Less => Condition.Less,
            Comparison.GreaterOrEqual => Condition.GreaterOrEqual,
            Comparison.LessUnsigned => Condition.Below,
            _ => Condition.AboveOrEqual,
        };
        ref readonly IrOp left = ref _block.Ops[op.A];
        ref readonly IrOp right = ref _block.Ops[op.B];
        if (TryImmediate(op.B, out int imm))
        {
            if (left.Code == IrCode.ReadX && !TryRegister(op.A, out _))
            {
                _asm.Alu(Alu.Cmp, GuestRegisters.SlotX(left.Detail), imm);
                return condition;
            }

            Gp register = Use(op.A, ref free);
            if (imm == 0)
                _asm.Test(register, register);
            else
                _asm.Alu(Alu.Cmp, register, imm);
            return condition;
        }

        Gp a = Use(op.A, ref free);
        if (right.Code == IrCode.ReadX && !TryRegister(op.B, out _))
            _asm.Alu(Alu.Cmp, a, GuestRegisters.SlotX(right.Detail));
        else
            _asm.Alu(Alu.Cmp, a, Use(op.B, ref free));
        return condition;
    }
}
