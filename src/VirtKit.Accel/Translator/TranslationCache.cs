using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using VirtKit.Accel.Translator.Code;
using VirtKit.Accel.Translator.Guests;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;
using VirtKit.Telemetry;

namespace VirtKit.Accel.Translator;

/// <summary>The translations of one machine, or of several that run the same code, shared by their vCPUs. Lookup and translation hold a lock, execution does not: translations are evicted only
/// all at once, when memory is full, after every vCPU has left them. The lock order: <see cref="WaitRules"/>.</summary>
internal sealed unsafe class TranslationCache
{
    /// <summary>Interval at which a vCPU that waits for the gate checks for a request to stop.</summary>
    private static readonly TimeSpan StopCheck = TimeSpan.FromMilliseconds(10);

    /// <summary>How often an exit of a page's frozen code may be left unlinked, and how many layers of frozen code a lookup passes.</summary>
    private const int MostUnlinked = 32, MostLayers = 4;

    private readonly Lock _gate = new();
    private readonly List<TranslatorCore> _cores = [];
    private readonly GuestInstructions _set;
    private readonly GuestRegisterFile _guest;
    private readonly TranslatorOptions _options;
    private readonly TranslatorMetrics _metrics;

    /// <summary>The length of each translation by its offset, kept for a cross-check's report.</summary>
    private readonly Dictionary<int, int>? _lengths;

    /// <summary>What other machines share, below this one's own translations.</summary>
    private FrozenCode? _frozen;
    private CodeLayer _own;

    /// <summary>By virtual page, how often its frozen code was left by an exit that cannot be linked any more. A page with many is translated anew.</summary>
    private readonly Dictionary<ulong, int> _unlinked = [];
    private TranslationCounts _counts;
    private long _epoch;
    private int _holders = 1;

    public TranslationCache(GuestInstructions set, GuestRegisterFile guest, TranslatorOptions options, MachineMetrics? metrics = null)
    {
        (_set, _guest, _options) = (set, guest, options);
        Use(new CodeLayer(set, guest, options, before: null));
        _lengths = options.CrossCheck ? [] : null;
        _metrics = new TranslatorMetrics(this, metrics);
    }

    /// <summary>Runs translated code until it leaves.</summary>
    public delegate* unmanaged<TranslatorContext*, byte*, void> Enter { get; private set; }

    /// <summary>Counts how often everything was dropped. A vCPU enters code only while this is what it was when the code was looked up.</summary>
    public long Epoch => Volatile.Read(ref _epoch);

    /// <summary>The memory that the machine's own translations stand in, from its beginning.</summary>
    public ICodeMemory Memory => _own.Memory;

    public ref readonly TranslationCounts Counts => ref _counts;

    /// <summary>Bytes of code.</summary>
    public long CodeSize => _own.CodeSize;

    /// <summary>Bytes that sites, exits and probes take.</summary>
    public long RecordsSize => _own.Records.Size;

    /// <summary>Bytes that pages take.</summary>
    public long PagesSize => _own.Pages.Size;

    /// <summary>Whether the calling thread looks up.</summary>
    public bool IsGateHeld => _gate.IsHeldByCurrentThread;

    /// <summary>Another machine runs this code, until <see cref="Release"/>.</summary>
    public void Hold() => Interlocked.Increment(ref _holders);

    /// <summary>Ends what <see cref="Hold"/> or the maker began: with the last one everything is given back.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _holders) != 0)
            return;
        _own.Dispose();
        Interlocked.Exchange(ref _frozen, null)?.Release();
    }

    public void Add(TranslatorCore core)
    {
        lock (_gate)
            _cores.Add(core);
    }

    public void Remove(TranslatorCore core)
    {
        lock (_gate)
            _cores.Remove(core);
    }

    /// <summary>Valid within the epoch.</summary>
    public ref readonly Site SiteAt(int index) => ref _own.Records.Sites[index];

    /// <summary>Valid within the epoch.</summary>
    public ref readonly ExitRecord ExitAt(int index) => ref _own.Records.Exits[index];

    /// <summary>Code bytes may have changed: pages are compared with what they were before they are used again.</summary>
    public void BytesChanged() => _own.Pages.BytesChanged();

    /// <summary>Begins looking up: takes the gate. A core that has to wait for it does not count as running guest code meanwhile, so it may serve fences before this
    /// returns: what the caller knew of mappings is then out of date.</summary>
    /// <returns>Whether it holds the gate; if not, it is asked to stop.</returns>
    public bool TryBeginLookup(TranslatorCore caller)
    {
        WaitRules.Check(!caller.IsInCode, "who waits for the gate is not in code");
        if (_gate.TryEnter())
            return true;
        caller.LeaveForOthers();
        bool entered;
        do
            entered = _gate.TryEnter(StopCheck);
        while (!entered && !caller.IsExitRequested);
        caller.Return();
        return entered;
    }

    /// <summary>Gives the gate back.</summary>
    public void EndLookup() => _gate.Exit();

    /// <summary>The translation at an address, made now if it has to be. After <see cref="TryBeginLookup"/>.</summary>
    /// <param name="caller">The core that asks; it is not running translated code.</param>
    /// <param name="oneOff">Whether accesses may share nothing.</param>
    /// <param name="location">The page that the address lies in.</param>
    /// <param name="next">Where the code goes on in the next page, for an instruction that crosses into it; null where that is not known.</param>
    /// <param name="code">The code, or null where the instruction crosses into the next page and that is not known.</param>
    /// <returns>Whether it was looked up; if not, memory was full, and the caller's translations may have changed while it was emptied.</returns>
    public bool TryFind(TranslatorCore caller, ulong pc, bool oneOff, in CodeLocation location, Func<ulong, CodeLocation?> next, out byte* code)
    {
        code = null;
        ulong virtualPage = pc & ~0xfffUL;
        if (_frozen is not null && !IsTranslatedAnew(virtualPage) && (code = _frozen.Find(location, pc, oneOff)) != null)
            return true;
        CodePages pages = _own.Pages;
        CodePage? page = pages.Find(location.Page, virtualPage, location.Host);
        if (page is null)
        {
            // A page is kept even if nothing of it can be translated, so it is counted before it is made.
            if (_own.IsFull)
            {
                DropAll(caller);
                return false;
            }

            page = pages.Add(location.Page, virtualPage, location.Host);
        }

        int offset = (int)(pc & 0xfff);
        bool crosses = page.BeginAt(offset);
        if (crosses)
        {
            if (next(virtualPage + 0x1000) is not { } nextLocation)
                return true;
            page.ContinueWith(nextLocation.Page, nextLocation.Host);
        }

        ref int block = ref oneOff ? ref pages.OneOffBlockAt(page, offset) : ref page.BlockAt(offset);
        if (block != 0)
        {
            code = _own.Memory.Executable + block;
            return true;
        }

        if (_own.IsFull)
        {
            DropAll(caller);
            return false;
        }

        long began = _metrics.TakesTime ? Stopwatch.GetTimestamp() : 0;
        byte* start = Translate(page, pc, crosses ? 1 : IrBlock.MaxInstructions, oneOff);
        if (began != 0)
            _counts.Ticks += Stopwatch.GetTimestamp() - began;
        if (start != null)
        {
            block = (int)(start - _own.Memory.Writable);
            code = _own.Executable(start);
        }

        return true;
    }

    /// <summary>A translation as text. With <see cref="TranslatorOptions.CrossCheck"/>.</summary>
    /// <param name="code">Its beginning, within the epoch.</param>
    public string Disassemble(byte* code)
    {
        // Its caller is in code, so it does not wait for the gate.
        if (!_gate.TryEnter())
            return "(not shown: another vCPU is translating)";
        try
        {
            int start = (int)(code - _own.Memory.Executable);
            return _own.Host.Disassemble(start, _lengths![start]);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Makes an exit go straight to the code at its address, if nobody is looking up: its caller is in the guest, so it does not wait for the gate, and an exit
    /// that is not linked asks again the next time.</summary>
    /// <param name="epoch">The epoch in which the exit was taken and the code was found.</param>
    public void TryLink(int exit, byte* code, long epoch)
    {
        if (!_gate.TryEnter())
            return;
        try
        {
            if (epoch != _epoch)
                return;
            if (exit >= _own.Records.Exits.First)
                _own.Host.Link(_own.Records.Exits[exit], code);
            else
                NoteUnlinked(_own.Records.Exits[exit].Pc & ~0xfffUL, 1);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Lets an access use the TLB at once, from now on. Called by a vCPU that is in the code, which therefore stays.</summary>
    public void DisableProbe(int probe)
    {
        if (probe >= _own.Records.Probes.First)
        {
            _own.Host.DisableProbe(_own.Records.Probes[probe]);
            return;
        }

        // In code nobody waits for the gate: the next misses ask again.
        if (!_gate.TryEnter())
            return;
        try
        {
            NoteUnlinked(_own.Records.Sites[_own.Records.Probes[probe].Site].Pc & ~0xfffUL, MostUnlinked);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Freezes what was translated so far, for other machines to run. No vCPU is in the code.</summary>
    /// <returns>All frozen code, held for the caller; <see langword="null"/> where there is none.</returns>
    public FrozenCode? Freeze()
    {
        if (_lengths is not null)
            return null;
        if (_own.HasBlocks && (_frozen?.Depth ?? 0) < MostLayers)
        {
            var frozen = new FrozenCode(_set, _own, _frozen);
            Use(new CodeLayer(_set, _guest, _options, frozen.Records));
            _frozen = frozen;
            _unlinked.Clear();
        }

        _frozen?.Hold();
        return _frozen;
    }

    /// <summary>Runs frozen code of another machine in place of this one's translations. No vCPU is in the code.</summary>
    public void Adopt(FrozenCode code)
    {
        if (_lengths is not null || !code.Fits(_set) || ReferenceEquals(code, _frozen))
            return;
        var own = new CodeLayer(_set, _guest, _options, code.Records);
        code.Hold();
        _own.Dispose();
        _frozen?.Release();
        _frozen = code;
        Use(own);
        _unlinked.Clear();
        Interlocked.Increment(ref _epoch);
    }

    /// <summary>Valid within the epoch.</summary>
    public ref readonly PageProbe ProbeAt(int index) => ref _own.Records.Probes[index];

    [MemberNotNull(nameof(_own))]
    private void Use(CodeLayer layer)
    {
        _own = layer;
        Enter = (delegate* unmanaged<TranslatorContext*, byte*, void>)layer.Executable(layer.Host.Enter);
    }

    private bool IsTranslatedAnew(ulong virtualPage) => _unlinked.GetValueOrDefault(virtualPage) >= MostUnlinked;

    /// <summary>Frozen code of a page is not as fast as it would be if it could be patched: the page is translated anew where that happens often. With the gate.</summary>
    private void NoteUnlinked(ulong virtualPage, int times)
    {
        int before = _unlinked.GetValueOrDefault(virtualPage);
        _unlinked[virtualPage] = before + times;
        // Every core looks the page up again.
        if (before < MostUnlinked && before + times >= MostUnlinked)
            Interlocked.Increment(ref _epoch);
    }

    /// <returns>The code, or null where there is no instruction.</returns>
    private byte* Translate(CodePage page, ulong pc, int limit, bool oneOff)
    {
        (BlockReader reader, IHostCode host) = (_own.Reader, _own.Host);
        if (!reader.Read(pc, limit, page, oneOff: oneOff))
            return null;
        if (!host.TryEmit(out byte* start))
        {
            reader.Read(pc, limit, page, ExpressionSize.OneInstruction, oneOff: true);
            if (!host.TryEmit(out start))
                throw new InvalidOperationException("An instruction's own expression does not fit the scratch registers.");
        }

        _counts.Blocks++;
        _counts.Instructions += _own.Block.InstructionCount;
        _lengths?.Add((int)(start - _own.Memory.Writable), (int)(host.Cursor - start));
        return start;
    }

    /// <summary>Drops everything, unless the caller is asked to stop while it waits for others to leave their translations.</summary>
    private void DropAll(TranslatorCore caller)
    {
        // TIMING POINT 4: a core says that it is in code and reads the epoch then; here the epoch changes and the cores are asked then. The barrier is every core's: evictions are
        // rare, and entering code is not.
        Interlocked.Increment(ref _epoch);
        Interlocked.MemoryBarrierProcessWide();
        caller.LeaveForOthers();
        WaitRules.Check(!caller.IsInCode && !caller.IsInGuest, "who evicts is neither in the guest nor in code");
        bool isAlone = true;
        foreach (TranslatorCore core in _cores)
            isAlone = isAlone && (core == caller || core.WaitUntilOutside(caller));
        caller.Return();
        // What is there stays valid: the new epoch only makes every core look up anew.
        if (!isAlone)
            return;
        _counts.Evictions++;
        _own.Clear();
        _lengths?.Clear();
    }
}

/// <summary>A page of guest code.</summary>
/// <param name="page">Its guest physical address.</param>
/// <param name="host">Its bytes.</param>
internal readonly unsafe struct CodeLocation(ulong page, byte* host)
{
    public ulong Page { get; } = page;

    public byte* Host { get; } = host;
}
