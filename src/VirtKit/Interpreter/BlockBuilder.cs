using VirtKit.RiscV;
using VirtKit.RiscV.Extensions;

namespace VirtKit.Interpreter;

/// <summary>Predecodes guest code into blocks.</summary>
internal sealed unsafe class BlockBuilder(InstructionSet set, HandlerTable handlers)
{
    /// <summary>The most slots that a block takes: header, ops, the pseudo-op at the end, exits, and a literal (two fit a slot) for each pc-relative op.</summary>
    public const int MaxSlots = BlockHeader.Slots + Op.MaxBlockLength + 1 + BlockExit.Slots + Op.MaxBlockLength / 2;

    private readonly Op[] _ops = new Op[Op.MaxBlockLength];
    private readonly (int Slot, ulong Value)[] _literals = new (int, ulong)[Op.MaxBlockLength];

    /// <summary>The 16 bits of code at an address, or nothing where they lie outside the page.</summary>
    public delegate ushort? FetchHalf(ulong address);

    /// <summary>Decodes from <paramref name="pc"/> to the first jump, the end of what can be fetched, or <paramref name="limit"/> instructions, whichever comes first.</summary>
    /// <param name="links">Whether the block's exits into its own page may be linked: not where the block can outlive what that page is mapped to.</param>
    /// <param name="allocate">Gives room for a number of slots.</param>
    /// <returns>The block's first op, or null where not even one whole instruction can be fetched.</returns>
    public Op* Build(ulong pc, int limit, FetchHalf fetch, ExitLinks links, Func<int, nint> allocate)
    {
        int count = 0, literals = 0;
        ulong longMask = 0, at = pc;
        InstructionForm form = InstructionForm.Plain;
        int jumpOffset = 0;
        while (count < limit)
        {
            if (fetch(at) is not { } low)
                break;
            bool isLong = (low & 3) == 3;
            uint word;
            if (!isLong)
                word = C.Expand(low);
            else if (fetch(at + 2) is { } high)
                word = (uint)high << 16 | low;
            else
                break;
            InstructionSet.Row? row = set.Decode(word);
            form = row?.Encoding.Form ?? InstructionForm.System;
            ref Op op = ref _ops[count];
            op.Operands = row?.Encoding.Decode(word) ?? default;
            op.Operands.Slot = (byte)count;
            jumpOffset = op.Operands.Imm;
            if (row is null)
            {
                op.Handler = (delegate*<Hart, Op*, InterpreterContext*, long, long>)handlers.Illegal;
            }
            else
            {
                if (row.Encoding.WritesX && op.Operands.Rd == 0)
                    op.Operands.Rd = (byte)HartContext.SinkRegister;
                bool back = form == InstructionForm.Branch && jumpOffset <= 0;
                op.Handler = (delegate*<Hart, Op*, InterpreterContext*, long, long>)handlers.Of(row, back);
                if (form == InstructionForm.PcRelative)
                    _literals[literals++] = (count, at + (ulong)op.Operands.Imm);
            }

            if (isLong)
                longMask |= 1UL << count;
            count++;
            if (form is InstructionForm.Plain or InstructionForm.PcRelative or InstructionForm.Complex)
                at += isLong ? 4u : 2u;
            else
                return Place(pc, longMask, count, literals, form, at + (ulong)jumpOffset, at + (isLong ? 4u : 2u), links, allocate);
        }

        return count == 0 ? null : Place(pc, longMask, count, literals, InstructionForm.Plain, 0, at, links, allocate);
    }

    private Op* Place(ulong pc, ulong longMask, int count, int literals, InstructionForm form, ulong taken, ulong next, ExitLinks links, Func<int, nint> allocate)
    {
        bool fallsThrough = form == InstructionForm.Plain;
        int length = count + (fallsThrough ? 1 : 0);
        var header = (BlockHeader*)allocate(BlockHeader.Slots + length + BlockExit.Slots + (literals + 1) / 2);
        *header = new BlockHeader { Pc = pc, LongMask = longMask, Count = count };
        Op* first = (Op*)header + BlockHeader.Slots;
        _ops.AsSpan(0, count).CopyTo(new Span<Op>(first, count));
        Op* last = first + length - 1;
        Fuse(first, count);
        // A fixed target stands in the exit, so the immediate is free to hold what the budget pays for the whole block.
        if (form is InstructionForm.Branch or InstructionForm.Jump)
            last->Operands.Imm = count;
        if (fallsThrough)
        {
            *last = new Op { Handler = (delegate*<Hart, Op*, InterpreterContext*, long, long>)handlers.FallThrough };
            last->Operands.Slot = (byte)count;
        }

        SetExit(BlockExit.Taken(last), taken, pc, links);
        SetExit(BlockExit.Next(last), next, pc, links);
        var pool = (ulong*)(last + 1 + BlockExit.Slots);
        for (int i = 0; i < literals; i++)
        {
            (int slot, ulong value) = _literals[i];
            pool[i] = value;
            first[slot].Operands.Imm = (int)((byte*)(pool + i) - (byte*)(first + slot));
        }

        return first;
    }

    /// <summary>Gives two neighbours the handler that does both, where there is one.</summary>
    private void Fuse(Op* first, int count)
    {
        for (int i = 0; i + 1 < count; i++)
        {
            nint pair = handlers.OfPair(first[i].Handler, first[i + 1].Handler);
            if (pair != 0)
                first[i++].Handler = (delegate*<Hart, Op*, InterpreterContext*, long, long>)pair;
        }
    }

    private void SetExit(BlockExit* exit, ulong target, ulong pc, ExitLinks links)
    {
        Op* stub = (Op*)(exit + 2);
        bool samePage = links == ExitLinks.WithinPage && (target ^ pc) >> 12 == 0;
        *stub = new Op { Handler = (delegate*<Hart, Op*, InterpreterContext*, long, long>)(samePage ? handlers.Unlinked : handlers.OtherPage) };
        exit->Link = stub;
        exit->Pc = target;
    }
}

/// <summary>Which exits of a block may be linked to the block that they lead to.</summary>
internal enum ExitLinks : byte
{
    None,
    WithinPage,
}
