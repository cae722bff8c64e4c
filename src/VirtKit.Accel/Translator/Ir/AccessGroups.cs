using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>Finds loads, or stores, that follow one another from one unchanged base register, as in a function's prologue: one TLB lookup serves them all where
/// they lie in one page.</summary>
internal static class AccessGroups
{
    public static void Run(IrBlock block)
    {
        block.GroupCount = 0;
        AccessGroup group = default;
        for (short i = 0; i < block.OpCount; i++)
        {
            ref readonly IrOp op = ref block.Ops[i];
            if (op.Code < IrCode.Load)
                continue;
            if (!IsAccess(op.Code))
            {
                if (!group.IsEmpty && !MayStand(block, op, group.Register))
                    Close(block, ref group);
                continue;
            }

            AccessGroup access = Alone(block, i);
            if ((op.Code == IrCode.Load || IsLinear(block, op.B)) && group.TryJoin(access))
                continue;
            Close(block, ref group);
            group = access;
        }

        Close(block, ref group);
    }

    private static void Close(IrBlock block, ref AccessGroup group)
    {
        if (group.Last != group.First)
        {
            block.Groups[block.GroupCount++] = group;
            foreach (ref IrOp op in block.Ops.AsSpan(group.First, group.Last + 1 - group.First))
            {
                if (IsAccess(op.Code))
                    op.Group = (byte)block.GroupCount;
            }
        }

        group = default;
    }

    private static bool IsAccess(IrCode code) => code is IrCode.Load or IrCode.Store;

    /// <summary>An access as a group of its own; an empty one where its address is no register with an offset.</summary>
    private static AccessGroup Alone(IrBlock block, short index)
    {
        ref readonly IrOp op = ref block.Ops[index];
        ref readonly IrOp address = ref block.Ops[op.A];
        int offset = 0;
        if (address.Code == IrCode.Add && block.Ops[address.B].IsConstant)
        {
            offset = (int)block.Ops[address.B].Imm;
            address = ref block.Ops[address.A];
        }

        if (address.Code != IrCode.ReadInteger)
            return default;
        return new AccessGroup
        {
            First = index, Last = index, Code = op.Code, Register = address.Detail, FirstByte = offset, LastByte = offset + ((MemoryWidth)op.Detail).Bytes() - 1,
        };
    }

    /// <summary>Whether an op may stand among a group's accesses: nothing that changes the base, or that takes many registers to compute.</summary>
    private static bool MayStand(IrBlock block, in IrOp op, byte register) => op.Code switch
    {
        IrCode.WriteInteger => op.Detail != register && IsLinear(block, op.A),
        IrCode.WriteFloat or IrCode.UseFloat => true,
        _ => false,
    };

    /// <summary>Whether at most one register beside that of the result is needed at any time.</summary>
    private static bool IsLinear(IrBlock block, short value)
    {
        ref readonly IrOp op = ref block.Ops[value];
        return op.Code switch
        {
            IrCode.Constant or IrCode.ReadInteger or IrCode.ReadFloat or IrCode.Load => true,
            IrCode.Not or IrCode.SignExtend or IrCode.ZeroExtend => IsLinear(block, op.A),
            IrCode.Add or IrCode.Sub or IrCode.And or IrCode.Or or IrCode.Xor or IrCode.ShiftLeft or IrCode.ShiftRightLogical or IrCode.ShiftRightArithmetic =>
                block.Ops[op.B].Code is IrCode.Constant or IrCode.ReadInteger && IsLinear(block, op.A),
            _ => false,
        };
    }
}

/// <summary>Accesses from one base register.</summary>
internal struct AccessGroup
{
    /// <summary>The most bytes from the first to the last: the wider, the more often a page's end lies between them.</summary>
    private const int MaxSpan = 512;

    /// <summary>The first and the last access.</summary>
    public short First, Last;

    /// <summary><see cref="IrCode.Load"/> or <see cref="IrCode.Store"/>; the default value for no group.</summary>
    public IrCode Code;

    /// <summary>The base.</summary>
    public byte Register;

    /// <summary>The offsets of the first and the last byte from the base.</summary>
    public int FirstByte, LastByte;

    public readonly bool IsEmpty => Code == default;

    /// <returns>Whether the access, which stands behind the group's, now belongs to it.</returns>
    public bool TryJoin(in AccessGroup other)
    {
        int first = Math.Min(FirstByte, other.FirstByte), last = Math.Max(LastByte, other.LastByte);
        if (IsEmpty || other.Code != Code || other.Register != Register || last - first >= MaxSpan)
            return false;
        (Last, FirstByte, LastByte) = (other.First, first, last);
        return true;
    }
}
