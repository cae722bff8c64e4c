using System.Numerics;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>Algebra at recording time: constants, neutral elements, shift pairs that are extensions, shifts that are a rotation; and what is known of a result's bits.</summary>
internal static class Folding
{
    public static bool TryFold(IrBuilder builder, ref IrOp op, out Value value)
    {
        IrOp[] ops = builder.Block.Ops;
        if (ops[op.A].IsConstant && !ops[op.B].IsConstant && IsCommutative(op.Code))
            (op.A, op.B) = (op.B, op.A);
        ref readonly IrOp a = ref ops[op.A];
        ref readonly IrOp b = ref ops[op.B];
        if (a.IsConstant && b.IsConstant && TryCompute(op, a.Imm, b.Imm, out ulong result))
        {
            value = builder.Constant(result);
            return true;
        }

        if (b.IsConstant && TrySimplify(builder, op, a, b.Imm, out value))
            return true;
        if (op.Code is IrCode.Or or IrCode.Xor or IrCode.Add && TryRotate(builder, op, out value))
            return true;
        SetBits(ref op, a, b);
        value = default;
        return false;
    }

    private static bool IsCommutative(IrCode code) => code is IrCode.Add or IrCode.And or IrCode.Or or IrCode.Xor or IrCode.Mul;

    private static bool TryCompute(in IrOp op, ulong a, ulong b, out ulong result)
    {
        ulong? computed = op.Code switch
        {
            IrCode.Add => a + b,
            IrCode.Sub => a - b,
            IrCode.And => a & b,
            IrCode.Or => a | b,
            IrCode.Xor => a ^ b,
            IrCode.ShiftLeft => a << (int)b,
            IrCode.ShiftRightLogical => a >> (int)b,
            IrCode.ShiftRightArithmetic => (ulong)((long)a >> (int)b),
            IrCode.Mul => a * b,
            _ => null,
        };
        result = computed ?? 0;
        return computed is not null;
    }

    private static bool TrySimplify(IrBuilder builder, in IrOp op, in IrOp a, ulong b, out Value value)
    {
        value = new Value(op.A);
        switch (op.Code)
        {
            case IrCode.Add or IrCode.Sub or IrCode.Or or IrCode.Xor or IrCode.ShiftLeft or IrCode.ShiftRightLogical or IrCode.ShiftRightArithmetic
                or IrCode.RotateRight when b == 0:
                return true;
            case IrCode.And when b == ulong.MaxValue:
                return true;
            case IrCode.And when b is 0xff or 0xffff or 0xffffffff:
                value = builder.Extend(IrCode.ZeroExtend, value, ValueBits.Unsigned(b));
                return true;
            case IrCode.ShiftRightLogical or IrCode.ShiftRightArithmetic when a.Code == IrCode.ShiftLeft && builder.Block.Ops[a.B].IsConstant:
                return TryExtendByShifts(builder, op.Code, a, (int)(b & 63), out value);
        }

        return false;
    }

    /// <summary>A shift left by 32, 48 or 56 and back is an extension, with a shift by the difference.</summary>
    private static bool TryExtendByShifts(IrBuilder builder, IrCode code, in IrOp left, int right, out Value value)
    {
        int up = (int)(builder.Block.Ops[left.B].Imm & 63);
        value = default;
        if (up is not (32 or 48 or 56))
            return false;
        IrCode extension = code == IrCode.ShiftRightLogical ? IrCode.ZeroExtend : IrCode.SignExtend;
        value = builder.Extend(extension, new Value(left.A), 64 - up);
        if (right > up)
            value = builder.Binary(code, value, builder.Constant((ulong)(right - up)));
        else if (right < up)
            value = builder.Binary(IrCode.ShiftLeft, value, builder.Constant((ulong)(up - right)));
        return true;
    }

    /// <summary>Two shifts of one value by amounts that add up to its width, put together.</summary>
    private static bool TryRotate(IrBuilder builder, in IrOp op, out Value value)
    {
        value = default;
        ref readonly IrOp a = ref builder.Definition(op.A);
        ref readonly IrOp b = ref builder.Definition(op.B);
        return TryRotate(builder, a, b, out value) || TryRotate(builder, b, a, out value);
    }

    private static bool TryRotate(IrBuilder builder, in IrOp left, in IrOp right, out Value value)
    {
        value = default;
        IrOp[] ops = builder.Block.Ops;
        bool isWord = left.Code == IrCode.SignExtend && left.Detail == 32;
        ref readonly IrOp up = ref isWord ? ref ops[left.A] : ref left;
        ref readonly IrOp down = ref isWord && right.Code == IrCode.SignExtend ? ref ops[right.A] : ref right;
        if (up.Code != IrCode.ShiftLeft || down.Code != IrCode.ShiftRightLogical || !ops[up.B].IsConstant || !ops[down.B].IsConstant)
            return false;
        short source = down.A;
        if (isWord)
        {
            if (ops[source].Code != IrCode.ZeroExtend || ops[source].Detail != 32)
                return false;
            source = ops[source].A;
        }

        ref readonly IrOp x = ref ops[up.A];
        if (ops[up.B].Imm + ops[down.B].Imm != (isWord ? 32u : 64u) || x.Code != IrCode.ReadInteger || !builder.IsCurrent(x)
            || ops[source].Code != IrCode.ReadInteger || ops[source].Detail != x.Detail || ops[source].Imm != x.Imm)
            return false;
        ulong amount = ops[down.B].Imm;
        var read = new Value(up.A);
        value = isWord ? builder.Binary(IrCode.RotateRight32, read, builder.Constant(amount)) : builder.Binary(IrCode.RotateRight, read, builder.Constant(amount));
        return true;
    }

    private static void SetBits(ref IrOp op, in IrOp a, in IrOp b)
    {
        int amount = b.IsConstant ? (int)(b.Imm & 63) : 0;
        switch (op.Code)
        {
            case IrCode.Add or IrCode.Sub:
                op.SignedBits = (byte)Math.Min(64, Math.Max(a.SignedBits, b.SignedBits) + 1);
                if (op.Code == IrCode.Add)
                    op.UnsignedBits = (byte)Math.Min(64, Math.Max(a.UnsignedBits, b.UnsignedBits) + 1);
                break;
            case IrCode.And:
                op.UnsignedBits = Math.Min(a.UnsignedBits, b.UnsignedBits);
                op.SignedBits = (byte)Math.Min(Math.Max(a.SignedBits, b.SignedBits), Math.Min(64, op.UnsignedBits + 1));
                break;
            case IrCode.Or or IrCode.Xor:
                op.UnsignedBits = Math.Max(a.UnsignedBits, b.UnsignedBits);
                op.SignedBits = Math.Max(a.SignedBits, b.SignedBits);
                break;
            case IrCode.ShiftLeft when b.IsConstant:
                op.UnsignedBits = (byte)Math.Min(64, a.UnsignedBits + amount);
                op.SignedBits = (byte)Math.Min(64, a.SignedBits + amount);
                break;
            case IrCode.ShiftRightLogical when b.IsConstant:
                op.UnsignedBits = (byte)Math.Max(0, a.UnsignedBits - amount);
                op.SignedBits = (byte)Math.Min(64, op.UnsignedBits + 1);
                break;
            case IrCode.ShiftRightLogical:
                op.UnsignedBits = a.UnsignedBits;
                op.SignedBits = (byte)Math.Min(64, op.UnsignedBits + 1);
                break;
            case IrCode.ShiftRightArithmetic:
                op.SignedBits = (byte)Math.Max(1, a.SignedBits - amount);
                if (a.UnsignedBits < 64)
                    op.UnsignedBits = (byte)Math.Max(0, a.UnsignedBits - amount);
                break;
            case IrCode.RotateRight32:
                op.SignedBits = 32;
                break;
            case IrCode.Compare:
                op.UnsignedBits = 1;
                op.SignedBits = 2;
                break;
            case IrCode.Divide:
                if (op.Imm == 32)
                    op.SignedBits = 32;
                break;
        }
    }
}
