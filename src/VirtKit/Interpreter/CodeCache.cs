using VirtKit.Execution;
using VirtKit.Memory;

namespace VirtKit.Interpreter;

/// <summary>The predecoded code of one CPU: pages of blocks, and the jump caches that find them by virtual address, one for each code mode.</summary>
internal sealed unsafe class CodeCache : IDisposable
{
    private readonly int _modes;
    private readonly CodePages _pages;
    private readonly CodeArena _arena = new();
    private readonly BlockBuilder _builder;

    // Zeroes are invalid entries: of all addresses only 0 has the entry 0.
    private readonly NativeBlock _jumpBlock;
    private readonly NativeBlock _scratchBlock = new(BlockBuilder.MaxSlots * sizeof(Op));
    private readonly JumpEntry* _jumps;
    private readonly bool[] _used;
    private readonly Op* _scratch;
    private readonly Func<int, nint> _allocate;
    private readonly Func<int, nint> _allocateScratch;
    private readonly long _limit;

    /// <param name="system">The CPU's.</param>
    /// <param name="handlers">The handlers of its instructions.</param>
    /// <param name="limit">How many bytes blocks and pages may take before all of it is dropped.</param>
    public CodeCache(GuestSystem system, HandlerTable handlers, long limit)
    {
        _limit = limit;
        _modes = system.CodeModes;
        _pages = new CodePages(system.Instructions);
        _builder = new BlockBuilder(system.Instructions, handlers);
        _jumpBlock = NativeBlock.LazilyZeroed(_modes * JumpEntry.Count * sizeof(JumpEntry));
        _used = new bool[_modes];
        _jumps = (JumpEntry*)_jumpBlock.Pointer;
        _scratch = (Op*)_scratchBlock.Pointer;
        for (int mode = 0; mode < _modes; mode++)
            _jumps[mode * JumpEntry.Count].Pc = JumpEntry.InvalidFirst;
        _allocate = slots => (nint)_arena.Allocate(slots);
        _allocateScratch = _ => (nint)_scratch;
    }

    /// <summary>Bytes that blocks and pages take.</summary>
    public long Size => _arena.Size + _pages.Size;

    /// <summary>The jump cache of a mode.</summary>
    public JumpEntry* JumpsOf(int mode)
    {
        _used[mode] = true;
        return _jumps + mode * JumpEntry.Count;
    }

    /// <summary>The block at an address, built now if it has to be.</summary>
    /// <param name="cpu">The CPU, which is asked for the next page where the instruction crosses into it.</param>
    /// <param name="pc">The virtual address.</param>
    /// <param name="page">The guest physical page that it lies in.</param>
    /// <param name="host">That page's bytes.</param>
    /// <param name="crosses">Whether it is one instruction, the end of which lies in the next page: then it must be found anew each time, for that page may be mapped anew.</param>
    /// <returns>The block's first op, or null where an exception is recorded: the next page cannot be read.</returns>
    public Op* Find(GuestCpu cpu, ulong pc, ulong page, byte* host, out bool crosses)
    {
        ulong virtualPage = pc & ~0xfffUL;
        CodePage code = _pages.Find(page, virtualPage, host) ?? _pages.Add(page, virtualPage, host);
        int offset = (int)(pc & 0xfff);
        crosses = code.BeginAt(offset);
        if (crosses)
        {
            if (!cpu.TryTranslateCode(virtualPage + 0x1000, out ulong nextPage, out byte* nextHost, out _))
                return null;
            code.ContinueWith(nextPage, nextHost);
        }

        ref int block = ref code.BlockAt(offset);
        if (block != 0)
            return _arena.At(block) + BlockHeader.Slots;
        Op* op = _builder.Build(pc, crosses ? 1 : Op.MaxBlockLength, code, crosses ? ExitLinks.None : ExitLinks.WithinPage, _allocate);
        block = _arena.Last;
        return op;
    }

    /// <summary>Whether memory runs out; if so, everything has been dropped.</summary>
    public bool DropIfFull()
    {
        if (Size <= _limit)
            return false;
        _pages.Clear();
        _arena.Clear();
        _used.AsSpan().Fill(true);
        ForgetJumps();
        return true;
    }

    /// <summary>A block that is used once, because it is cut short or its bytes cannot be kept.</summary>
    /// <returns>Its first op, or null where an exception is recorded.</returns>
    public Op* BuildOnce(GuestCpu cpu, ulong pc, int limit) => _builder.Build(pc, limit, cpu, ExitLinks.None, _allocateScratch);

    public void BytesChanged()
    {
        _pages.BytesChanged();
        ForgetJumps();
    }

    public void ForgetJumps()
    {
        for (int mode = 0; mode < _modes; mode++)
        {
            if (_used[mode])
                Forget(mode);
            _used[mode] = false;
        }
    }

    public void ForgetJumps(ulong page)
    {
        for (int mode = 0; mode < _modes; mode++)
        {
            if (!_used[mode])
                continue;
            // The 2048 possible addresses of a page stand in a row.
            var entries = new Span<JumpEntry>(JumpEntry.At(_jumps + mode * JumpEntry.Count, page & ~0xfffUL), 2048);
            foreach (ref JumpEntry entry in entries)
            {
                if ((entry.Pc & ~0xfffUL) == (page & ~0xfffUL))
                    entry.Pc = 0;
            }

            JumpEntry* first = _jumps + mode * JumpEntry.Count;
            if (first->Pc == 0)
                first->Pc = JumpEntry.InvalidFirst;
        }
    }

    private void Forget(int mode)
    {
        JumpEntry* table = _jumps + mode * JumpEntry.Count;
        new Span<JumpEntry>(table, JumpEntry.Count).Clear();
        table->Pc = JumpEntry.InvalidFirst;
    }

    public void Dispose()
    {
        _pages.Dispose();
        _arena.Dispose();
        _jumpBlock.Dispose();
        _scratchBlock.Dispose();
    }
}
