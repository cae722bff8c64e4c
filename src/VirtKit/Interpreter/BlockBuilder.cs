using VirtKit.Execution;


namespace VirtKit.Interpreter;

/// <summary>Predecodes guest code into blocks.</summary>
internal sealed unsafe class BlockBuilder(GuestInstructions set, HandlerTable handlers)
{
    /// <summary>The most slots that a block takes: header, ops, the pseudo-op at the end, exits, a literal (two fit a slot) for each pc-relative op, and offsets (eight fit).</summary>
    public const int MaxSlots = BlockHeader.Slots + Op.MaxBlockLength + 1 + BlockExit.Slots + Op.MaxBlockLength / 2 + Op.MaxBlockLength / 8 + 1;

    private readonly Op[] _ops = new Op[Op.MaxBlockLength];
    private readonly ushort[] _offsets = new ushort[Op.MaxBlockLength + 1];
    private readonly (int Slot, ulong Value)[] _literals = new (int, ulong)[Op.MaxBlockLength];

    /// <summary>Decodes from <paramref name="pc"/> to the first jump, the end of what can be read, or <paramref name="limit"/> instructions, whichever comes first.</summary>
    /// <param name="links">Whether the block's exits into its own page may be linked: not where the block can outlive what that page is mapped to.</param>
    /// <param name="allocate">Gives room for a number of slots.</param>
    /// <returns>The block's first op, or null where not even one whole instruction can be read.</returns>
    public Op* Build(ulong pc, int limit, ICodeSource source, ExitLinks links, Func<int, nint> allocate)
    {
        int count = 0, literals = 0;
        ulong at = pc;
        while (count < limit && set.TryRead(source, at, out DecodedInstruction instruction))
        {
            ref Op op = ref _ops[count];
            op.Operands = instruction.Operands;
            op.Operands.Slot = (byte)count;
            int offset = instruction.Operands.Imm;
            bool back = instruction.Form == InstructionForm.Branch && offset <= 0;
            op.Handler = (delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)(instruction.Row < 0 ? handlers.Illegal : handlers.Of(instruction.Row, back));
            if (instruction.Form == InstructionForm.PcRelative)
                _literals[literals++] = (count, at + (ulong)offset);
            ulong next = at + instruction.Length;
            _offsets[++count] = (ushort)(next - pc);
            if (!instruction.GoesOn)
                return Finish(pc, count, literals, instruction.Form, at + (ulong)offset, next, links, allocate);
            at = next;
        }

        return count == 0 ? null : Finish(pc, count, literals, InstructionForm.Plain, 0, at, links, allocate);
    }

    private Op* Finish(ulong pc, int count, int literals, InstructionForm form, ulong taken, ulong next, ExitLinks links, Func<int, nint> allocate)
    {
        bool fallsThrough = form == InstructionForm.Plain;
        int length = count + (fallsThrough ? 1 : 0);
        int offsets = BlockHeader.Slots + length + BlockExit.Slots + (literals + 1) / 2;
        var header = (BlockHeader*)allocate(offsets + count / 8 + 1);
        *header = new BlockHeader { Pc = pc, Count = (short)count, Offsets = (ushort)(offsets * sizeof(Op)) };
        _offsets.AsSpan(0, count + 1).CopyTo(new Span<ushort>((Op*)header + offsets, count + 1));
        Op* first = (Op*)header + BlockHeader.Slots;
        _ops.AsSpan(0, count).CopyTo(new Span<Op>(first, count));
        Op* last = first + length - 1;
        Fuse(first, count);
        // A fixed target stands in the exit, so the immediate is free to hold what the budget pays for the whole block.
        if (form is InstructionForm.Branch or InstructionForm.Jump)
            last->Operands.Imm = count;
        if (fallsThrough)
        {
            *last = new Op { Handler = (delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)handlers.FallThrough };
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
                first[i++].Handler = (delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)pair;
        }
    }

    private void SetExit(BlockExit* exit, ulong target, ulong pc, ExitLinks links)
    {
        Op* stub = (Op*)(exit + 2);
        bool samePage = links == ExitLinks.WithinPage && (target ^ pc) >> 12 == 0;
        *stub = new Op { Handler = (delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)(samePage ? handlers.Unlinked : handlers.OtherPage) };
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
