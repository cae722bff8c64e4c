using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Expressions: where values are, and how one is computed.</summary>
internal sealed unsafe partial class Amd64Emitter
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
        register = op.Code == IrCode.ReadInteger ? _registers.HomeOf(op.Detail) : Gp.None;
        if (register == Gp.None)
            register = _locations[value];
        return register != Gp.None;
    }

    private bool IsLeaf(short value) => _block.Ops[value].Code == IrCode.ReadInteger || _locations[value] != Gp.None;

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
            case IrCode.ReadInteger:
                _asm.Load(to, GuestRegisters.Slot(op.Detail));
                break;
            case IrCode.Load or IrCode.Atomic:
                _asm.Load(to, SpillSlot(_spilled[value] - 1));
                break;
            case IrCode.ReadFloat:
                Xmm vector = _homes.VectorOf(op.Detail);
                if (vector == Xmm.None)
                    _asm.Load(to, GuestRegisters.Slot(op.Detail));
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
            case IrCode.ReadInteger:
                _asm.Load(to, GuestRegisters.Slot(op.Detail), Size.Bits32);
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

    private void SelectInto(in IrOp op, Gp to, int free)
    {
        Gp chosen = Use(op.B, ref free);
        ref readonly IrOp test = ref _block.Ops[op.A];
        bool isHome = (Bit(to) & Scratch) == 0;
        Gp work = (isHome && References(op.A, to)) || chosen == to ? Take(ref free) : to;
        Into(op.C, work, free & ~Bit(work));
        free &= ~Bit(work);
        // The comparison is mostly of these two.
        (Gp locationB, Gp locationC) = (_locations[op.B], _locations[op.C]);
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

        _locations[op.B] = locationB;
        _locations[op.C] = locationC;
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
            if (left.Code == IrCode.ReadInteger && !TryRegister(op.A, out _))
            {
                _asm.Alu(Alu.Cmp, GuestRegisters.Slot(left.Detail), imm);
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
        if (right.Code == IrCode.ReadInteger && !TryRegister(op.B, out _))
            _asm.Alu(Alu.Cmp, a, GuestRegisters.Slot(right.Detail));
        else
            _asm.Alu(Alu.Cmp, a, Use(op.B, ref free));
        return condition;
    }
}
