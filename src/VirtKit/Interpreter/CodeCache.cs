using System.Runtime.InteropServices;
using VirtKit.Memory;
using VirtKit.RiscV;

namespace VirtKit.Interpreter;

/// <summary>The predecoded code of one hart: pages of blocks, and the jump caches that find them by virtual address, one for each privilege mode.</summary>
internal sealed unsafe class CodeCache : IDisposable
{
    private const int Modes = 3;
    private const int CrossingCount = 256;

    private readonly Dictionary<(ulong Physical, ulong Virtual), CodePage> _pages = [];
    private readonly CodeArena _arena = new();
    private readonly BlockBuilder _builder;

    // Zeroes are invalid entries: of all addresses only 0 has the entry 0.
    private readonly NativeBlock _jumpBlock = NativeBlock.LazilyZeroed(Modes * JumpEntry.Count * sizeof(JumpEntry));
    private readonly NativeBlock _scratchBlock = new(BlockBuilder.MaxSlots * sizeof(Op));
    private readonly JumpEntry* _jumps;
    private readonly bool[] _used = new bool[Modes];
    private readonly Op* _scratch;
    private readonly Func<int, nint> _allocate;
    private readonly Func<int, nint> _allocateScratch;
    private readonly Crossing[] _crossings = new Crossing[CrossingCount];

    /// <summary>Reads <see cref="_source"/>: one delegate for all blocks, so that building them allocates nothing.</summary>
    private readonly BlockBuilder.FetchHalf _fetch;

    private readonly long _limit;
    private CodePage? _source;
    private ulong _generation;

    /// <param name="limit">How many bytes blocks and pages may take before all of it is dropped.</param>
    public CodeCache(InstructionSet set, HandlerTable handlers, long limit)
    {
        _limit = limit;
        _builder = new BlockBuilder(set, handlers);
        _jumps = (JumpEntry*)_jumpBlock.Pointer;
        _scratch = (Op*)_scratchBlock.Pointer;
        for (int mode = 0; mode < Modes; mode++)
            _jumps[mode * JumpEntry.Count].Pc = JumpEntry.Invalid;
        _allocate = slots => (nint)_arena.Allocate(slots);
        _fetch = at => (at & ~0xfffUL) == _source!.VirtualPage ? _source.HalfAt((int)(at & 0xfff)) : null;
        _allocateScratch = _ => (nint)_scratch;
    }

    /// <summary>Bytes that blocks and pages take.</summary>
    public long Size => _arena.Size + (long)_pages.Count * CodePage.Size;

    /// <summary>The jump cache of a mode.</summary>
    public JumpEntry* JumpsOf(PrivilegeMode privilege)
    {
        int mode = privilege == PrivilegeMode.Machine ? 2 : (int)privilege;
        _used[mode] = true;
        return _jumps + mode * JumpEntry.Count;
    }

    /// <summary>The block at an address, built now if it has to be.</summary>
    /// <param name="pc">The virtual address.</param>
    /// <param name="page">The guest physical page that it lies in.</param>
    /// <param name="host">That page's bytes.</param>
    /// <returns>The block's first op, or null where the first instruction crosses into the next page.</returns>
    public Op* Find(ulong pc, ulong page, byte* host)
    {
        ulong virtualPage = pc & ~0xfffUL;
        ref CodePage? code = ref CollectionsMarshal.GetValueRefOrAddDefault(_pages, (page, virtualPage), out _);
        if (code is null)
            code = new CodePage(host, virtualPage, _generation);
        else
            code.Validate(host, _generation);
        _source = code;
        ref Op* block = ref code.BlockAt((int)(pc & 0xfff));
        if (block == null)
            block = _builder.Build(pc, Op.MaxBlockLength, _fetch, ExitLinks.WithinPage, _allocate);
        return block;
    }

    /// <summary>Whether memory runs out; if so, everything has been dropped.</summary>
    public bool DropIfFull()
    {
        if (Size <= _limit)
            return false;
        foreach (CodePage page in _pages.Values)
            page.Dispose();
        _pages.Clear();
        _arena.Clear();
        Array.Clear(_crossings);
        _used.AsSpan().Fill(true);
        ForgetJumps();
        return true;
    }

    /// <summary>A block that is used once, because it is cut short or its bytes cannot be kept.</summary>
    public Op* BuildOnce(ulong pc, int limit, BlockBuilder.FetchHalf fetch) => _builder.Build(pc, limit, fetch, ExitLinks.None, _allocateScratch);

    /// <summary>The block of one instruction whose halves lie in two pages. It follows from address and bits alone, so that no mapping can make it stale.</summary>
    public Op* FindCrossing(ulong pc, uint word)
    {
        ref Crossing crossing = ref _crossings[pc >> 12 & (CrossingCount - 1)];
        if (crossing.Block == null || crossing.Pc != pc || crossing.Word != word)
        {
            Op* block = _builder.Build(pc, 1, at => (ushort)(at == pc ? word : word >> 16), ExitLinks.None, _allocate);
            crossing = new Crossing { Pc = pc, Word = word, Block = block };
        }

        return crossing.Block;
    }

    public void BytesChanged()
    {
        _generation++;
        ForgetJumps();
    }

    public void ForgetJumps()
    {
        for (int mode = 0; mode < Modes; mode++)
        {
            if (_used[mode])
                new Span<JumpEntry>(_jumps + mode * JumpEntry.Count, JumpEntry.Count).Fill(new JumpEntry { Pc = JumpEntry.Invalid });
            _used[mode] = false;
        }
    }

    public void ForgetJumps(ulong page)
    {
        for (int mode = 0; mode < Modes; mode++)
        {
            if (!_used[mode])
                continue;
            // The 2048 possible addresses of a page stand in a row.
            var entries = new Span<JumpEntry>(JumpEntry.At(_jumps + mode * JumpEntry.Count, page & ~0xfffUL), 2048);
            foreach (ref JumpEntry entry in entries)
            {
                if ((entry.Pc & ~0xfffUL) == (page & ~0xfffUL))
                    entry.Pc = JumpEntry.Invalid;
            }
        }
    }

    public void Dispose()
    {
        foreach (CodePage page in _pages.Values)
            page.Dispose();
        _arena.Dispose();
        _jumpBlock.Dispose();
        _scratchBlock.Dispose();
    }

    private struct Crossing
    {
        public ulong Pc;
        public uint Word;
        public Op* Block;
    }
}
