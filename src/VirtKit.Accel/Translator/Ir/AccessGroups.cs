using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>Finds loads, or stores, that follow one another from one unchanged base register, as in a function's prologue: one look at the TLB serves them all where
/// they lie in one page.</summary>
internal static class AccessGroups
{
    public static void Run(IrBlock block)
    {
        block.GroupCount = 0;
        for (int i = 0; i < block.OpCount; i++)
        {
            if (TryAccess(block, i, out AccessGroup group))
                i = Extend(block, i, ref group);
        }
    }

    /// <returns>The last op that was looked at.</returns>
    private static int Extend(IrBlock block, int first, ref AccessGroup group)
    {
        int last = first;
        for (int i = first + 1; i < block.OpCount && MayStand(block, i, group); i++)
        {
            if (!IsAccess(block.Ops[i].Code))
                continue;
            TryAccess(block, i, out AccessGroup other);
            if (!group.TryJoin(other))
                break;
            last = i;
        }

        if (last == first)
            return first;
        group.Last = (short)last;
        block.Groups[block.GroupCount++] = group;
        for (int i = first; i <= last; i++)
        {
            if (IsAccess(block.Ops[i].Code))
                block.Ops[i].Group = (byte)block.GroupCount;
        }

        return last;
    }

    private static bool IsAccess(IrCode code) => code is IrCode.Load or IrCode.Store;

    /// <summary>An access as a group of its own.</summary>
    private static bool TryAccess(IrBlock block, int index, out AccessGroup group)
    {
        ref readonly IrOp op = ref block.Ops[index];
        group = default;
        if (!IsAccess(op.Code))
            return false;
        ref readonly IrOp address = ref block.Ops[op.A];
        int offset = 0;
        if (address.Code == IrCode.Add && block.Ops[address.B].IsConstant)
        {
            offset = (int)block.Ops[address.B].Imm;
            address = ref block.Ops[address.A];
        }

        if (address.Code != IrCode.ReadX)
            return false;
        group = new AccessGroup
        {
            First = (short)index, Code = op.Code, Register = address.Detail, Low = offset, High = offset, Aligned = offset, Size = ((MemoryWidth)op.Detail).Bytes(),
        };
        return true;
    }

    /// <summary>Whether an op may stand among a group's accesses: nothing that changes the base, or that takes many registers to compute.</summary>
    private static bool MayStand(IrBlock block, int index, in AccessGroup group)
    {
        ref readonly IrOp op = ref block.Ops[index];
        return op.Code switch
        {
            < IrCode.Load => true,
            IrCode.Load or IrCode.Store => op.Code == group.Code && TryAccess(block, index, out AccessGroup other) && other.Register == group.Register
                && (op.Code == IrCode.Load || IsLinear(block, op.B)),
            IrCode.WriteX => op.Detail != group.Register && IsLinear(block, op.A),
            IrCode.WriteF => true,
            IrCode.UseFloat => true,
            _ => false,
        };
    }

    /// <summary>Whether at most one register beside that of the result is needed at any time.</summary>
    private static bool IsLinear(IrBlock block, short value)
    {
        ref readonly IrOp op = ref block.Ops[value];
        return op.Code switch
        {
            IrCode.Constant or IrCode.ReadX or IrCode.ReadF or IrCode.Load => true,
            IrCode.Not or IrCode.SignExtend or IrCode.ZeroExtend => IsLinear(block, op.A),
            IrCode.Add or IrCode.Sub or IrCode.And or IrCode.Or or IrCode.Xor or IrCode.ShiftLeft or IrCode.ShiftRightLogical or IrCode.ShiftRightArithmetic =>
                block.Ops[op.B].Code is IrCode.Constant or IrCode.ReadX && IsLinear(block, op.A),
            _ => false,
        };
    }
}

/// <summary>Accesses from one base register.</summary>
internal struct AccessGroup
{
    /// <summary>The most bytes between the first and the last access: the wider, the more often a page's end lies between them.</summary>
    private const int MaxSpan = 512;

    /// <summary>The first and the last access.</summary>
    public short First, Last;

    /// <summary><see cref="IrCode.Load"/> or <see cref="IrCode.Store"/>.</summary>
    public IrCode Code;

    /// <summary>The base.</summary>
    public byte Register;

    /// <summary>The least and the greatest offset from the base.</summary>
    public int Low, High;

    /// <summary>The offset of one of the widest accesses.</summary>
    public int Aligned;

    /// <summary>Bytes of the widest access.</summary>
    public int Size;

    /// <summary>The offset of the last piece of the widest access's size and alignment that holds part of an access. Where the base plus it is aligned, every access
    /// is, and none reaches further into another page.</summary>
    public readonly int Tag => High - ((High - Aligned) & (Size - 1));

    public bool TryJoin(in AccessGroup other)
    {
        AccessGroup joined = this;
        joined.Low = Math.Min(Low, other.Low);
        joined.High = Math.Max(High, other.High);
        if (other.Size > Size)
            (joined.Size, joined.Aligned) = (other.Size, other.Aligned);
        if (joined.High - joined.Low > MaxSpan || ((other.Low - Aligned) & (Math.Min(Size, other.Size) - 1)) != 0)
            return false;
        this = joined;
        return true;
    }
}
