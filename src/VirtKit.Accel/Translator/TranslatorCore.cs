using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.Checking;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>Runs one hart: finds the translation at the pc, enters it until it leaves, looks around, and again. What is left of a budget behind the last whole block
/// is run by the interpreter's handlers.</summary>
internal sealed unsafe class TranslatorCore : VcpuCore, IVcpuState<RiscVState>, IHartEngine
{
    private readonly Hart _hart;
    private readonly TranslatorContext* _context;
    private readonly TranslationCache _cache;
    private readonly FallbackTable _fallbacks;
    private readonly JumpCache _jumps = new();
    private readonly Stepper _stepper;
    private readonly Func<ulong, CodePlace?> _nextPage;
    private GCHandle _self;
    private string? _failure;
    private bool _endSlice;
    private bool _codeChanged;
    private int _inCode;
    private long _epoch;
    private int _wantsLink = -1;
    private ulong _wantsLinkPc;
    private bool _wantsLone;
    private ulong _exits;

    /// <summary>What had retired when each recent page's misses were counted anew.</summary>
    private readonly ulong[] _missesSince = new ulong[2 * RecentPages.Count];

    public TranslatorCore(RiscVSystem system, int index, TranslationCache cache, FallbackTable fallbacks, HandlerTable handlers, Shadow? shadow)
    {
        Shadow = shadow;
        _cache = cache;
        _fallbacks = fallbacks;
        _hart = new Hart(system, index, sizeof(TranslatorContext), this);
        _context = (TranslatorContext*)_hart.Context;
        _stepper = new Stepper(system.Instructions, handlers, _hart, &_context->Interpreter);
        // Weak, so that it does not keep a machine that nobody disposed of; while code runs, the caller's frame keeps the core.
        _self = GCHandle.Alloc(this, GCHandleType.Weak);
        _context->Core = GCHandle.ToIntPtr(_self);
        _context->Fallback = &RunFallback;
        _context->Masks = FloatMasks.Create();
        _context->Recent.Reset();
        _nextPage = address => _hart.Mmu.TranslateCode(address, out ulong page, out byte* host, out bool cached) is null && cached ? new CodePlace(page, host) : null;
        cache.Add(this);
    }

    /// <summary>A core that nobody disposed of has a handle to give back; its memory has finalizers of its own.</summary>
    ~TranslatorCore() => Dispose(disposing: false);

    /// <summary>What checks every block, or <see langword="null"/>. It sees single blocks: then nothing is linked, and no jump is cached.</summary>
    public Shadow? Shadow { get; }

    public override bool HasWork => _hart.HasWork;

    public override string? CannotBeWoken => _hart.CannotBeWoken;

    public override ulong Retired => _context->Interpreter.Hart.Retired;

    public override VcpuCounters Counters => new(Retired, _exits, _hart.MmioAccesses, _hart.Mmu.Misses, _hart.Traps);

    public override void RequestExit() => _hart.RequestExit();

    public override void EndSlice()
    {
        _endSlice = true;
        _hart.RequestAttention();
    }

    public override bool HasPin(int pin) => Hart.HasPin(pin);

    public override void SetPin(int pin, bool level) => _hart.SetPin(pin, level);

    public override void Reset() => _hart.Reset();

    public void GetState(out RiscVState state) => _hart.GetState(out state);

    public void SetState(in RiscVState state) => _hart.SetState(state);

    public override void SynchronizeCode() => _hart.SynchronizeCode();

    public override VcpuExit Run(ulong budget)
    {
        long start = (long)Math.Min(budget, long.MaxValue / 2);
        _context->Budget = start;
        _context->Interpreter.RetiredAtZero = Retired + (ulong)start;
        try
        {
            _hart.EnterGuest();
            _hart.RequestAttention();
            return RunBlocks();
        }
        finally
        {
            // Also where a callback of the host threw: other harts' fences would wait for this one for ever.
            _hart.LeaveGuest();
            Volatile.Write(ref _inCode, 0);
            _endSlice = false;
            _exits++;
        }
    }

    bool IHartEngine.HoldsLock => _cache is { IsGateHeld: true };

    void IHartEngine.DataMappingChanged()
    {
        // The hart says so too while it is being made.
        if (_context != null)
            _context->Recent.Forget();
    }

    void IHartEngine.DataMappingChanged(ulong address) => _context->Recent.Forget(address & ~0xfffUL);

    // What is mapped anew between an exit and the code that is found for it is not to be linked: the exit may belong to what was there before.
    void IHartEngine.CodeMappingChanged()
    {
        _codeChanged = true;
        _wantsLink = -1;
        _jumps.Forget();
    }

    void IHartEngine.CodeMappingChanged(ulong address)
    {
        _codeChanged = true;
        _wantsLink = -1;
        _jumps.Forget(address);
    }

    void IHartEngine.CodeBytesChanged()
    {
        _codeChanged = true;
        _wantsLink = -1;
        _cache.BytesChanged();
        _jumps.Forget();
    }

    /// <summary>While it waits for others, this core is not running guest code: fences of theirs do not wait for it.</summary>
    public void LeaveForOthers() => _hart.LeaveGuest();

    public void Return() => _hart.EnterGuest();

    /// <summary>Whether remote fences wait for this core. Any thread.</summary>
    public bool IsInGuest => _hart.IsInGuest;

    /// <summary>Whether this core's thread is in translated code or in a function that it calls: evictions wait for it. Any thread.</summary>
    public bool IsInCode => Volatile.Read(ref _inCode) != 0;

    /// <summary>Whether the host wants this core to come back. Any thread.</summary>
    public bool IsExitRequested => _hart.IsExitRequested;

    /// <summary>Returns when this core's thread is not in translated code. From another core's thread.</summary>
    /// <returns>Whether it is not; if it is, the caller is asked to stop.</returns>
    public bool WaitUntilOutside(TranslatorCore caller)
    {
        SpinWait wait = default;
        while (IsInCode)
        {
            if (caller.IsExitRequested)
                return false;
            _hart.RequestAttention();
            wait.SpinOnce();
        }

        return true;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hart.Dispose();
            _jumps.Dispose();
            _stepper.Dispose();
        }

        if (_self.IsAllocated)
            _self.Free();
        base.Dispose(disposing);
    }

    private VcpuExit RunBlocks()
    {
        TranslatorContext* c = _context;
        ref HartContext hart = ref c->Interpreter.Hart;
        while (true)
        {
            // An end comes before the interrupts that are due with it: they are taken when the hart goes on, from among all that are pending then.
            if (c->Budget <= 0)
                return new VcpuExit(ExitReason.BudgetExhausted);
            if (Volatile.Read(ref hart.Attention) != 0 && LookAround() is { } exit)
                return exit;
            byte* code = Find(hart.State.Pc, out bool stepsOnce);
            if (code != null)
                Enter(code);
            else if (stepsOnce)
                c->Budget = _stepper.Run(hart.State.Pc, 1, c->Budget);
            hart.Retired = c->Interpreter.RetiredAtZero - (ulong)c->Budget;
            if (_failure is not null)
                return TakeFailure();
            if (_hart.TrapsWithoutEnd)
                return _hart.TrapExit();
        }
    }

    private VcpuExit TakeFailure()
    {
        var exit = new VcpuExit(ExitReason.InternalError, 0, _failure);
        _failure = null;
        return exit;
    }

    private VcpuExit? LookAround()
    {
        if (_hart.TakeExitRequest())
            return new VcpuExit(ExitReason.Kicked);
        if (_endSlice)
            return new VcpuExit(ExitReason.BudgetExhausted);
        _hart.LookAround();
        return _hart.CanRun() ? null : new VcpuExit(ExitReason.Halted);
    }

    /// <summary>The translation at the pc.</summary>
    /// <param name="stepsOnce">Whether the instruction at the pc cannot be kept translated, and has to be run by itself.</param>
    /// <returns>The code; null where a trap was taken instead, for <paramref name="stepsOnce"/>, or to try again.</returns>
    private byte* Find(ulong pc, out bool stepsOnce)
    {
        stepsOnce = false;
        if (_epoch != _cache.Epoch)
            ForgetCode();
        CodeEntry* table = _jumps.TableOf(_context->Interpreter.Hart.State.Privilege);
        _context->Jumps = table;
        var entry = (CodeEntry*)((byte*)table + CodeEntry.OffsetOf(pc));
        // An interrupt may have come in between; then the exit asks again next time.
        bool links = _wantsLink >= 0 && _wantsLinkPc == pc, lone = links && _wantsLone;
        byte* code = entry->Pc == pc && !lone ? entry->Code : LookUp(pc, lone, entry, out stepsOnce);
        if (code != null)
        {
            if (links && _wantsLink >= 0 && Shadow is null)
                _cache.TryLink(_wantsLink, code, _epoch);
            _wantsLink = -1;
        }

        return code;
    }

    private byte* LookUp(ulong pc, bool lone, CodeEntry* entry, out bool stepsOnce)
    {
        stepsOnce = false;
        if (!_cache.TryBeginLookup(this))
            return null;
        try
        {
            if (_hart.Mmu.TranslateCode(pc, out ulong page, out byte* host, out bool cached) is { } cause)
            {
                _hart.Trap(cause, pc);
                _hart.TakeTrap();
                return null;
            }

            byte* code = null;
            if (cached && !_cache.TryFind(this, pc, lone, new CodePlace(page, host), _nextPage, out code))
                return null;
            if (code == null)
            {
                stepsOnce = true;
                return null;
            }

            // Everything may have been dropped since this core looked; what was found is from after that.
            if (_epoch != _cache.Epoch)
                ForgetCode();
            if (Shadow is null && !lone)
            {
                entry->Pc = pc;
                entry->Code = code;
                _jumps.Filled(entry);
            }

            return code;
        }
        finally
        {
            _cache.EndLookup();
        }
    }

    private void ForgetCode()
    {
        _epoch = _cache.Epoch;
        _wantsLink = -1;
        _jumps.Forget();
    }

    private void Enter(byte* code)
    {
        TranslatorContext* c = _context;
        Volatile.Write(ref _inCode, 1);
        Interlocked.MemoryBarrier();
        if (_epoch == _cache.Epoch)
        {
            Shadow?.Predict(_hart);
            long before = c->Budget;
            _cache.Enter(c, code);
            if (c->ExitKind != ExitKind.Stopped)
                TakeExit();
            if (Shadow?.Difference(_hart, (int)(before - c->Budget), code) is { } difference)
                _failure ??= difference;
        }

        Volatile.Write(ref _inCode, 0);
        if (c->ExitKind == ExitKind.Budget && _failure is null)
        {
            c->ExitKind = ExitKind.Stopped;
            if (c->Budget > 0)
                c->Budget = _stepper.Run(c->Interpreter.Hart.State.Pc, (int)Math.Min(c->Budget, Op.MaxBlockLength), c->Budget);
        }
    }

    private void TakeExit()
    {
        ref readonly ExitRecord exit = ref _cache.ExitAt(_context->Exit);
        _context->Interpreter.Hart.State.Pc = exit.Pc;
        if (_context->ExitKind != ExitKind.Unlinked)
            return;
        _wantsLink = _context->Exit;
        _wantsLinkPc = exit.Pc;
        _wantsLone = exit.IsLone;
    }

    [UnmanagedCallersOnly]
    private static int RunFallback(TranslatorContext* context, int site)
    {
        var core = Unsafe.As<TranslatorCore>(GCHandle.FromIntPtr(context->Core).Target!);
        ref readonly Site called = ref core._cache.SiteAt(site < 0 ? core.LookAtMisses(~site) : site);
        try
        {
            return core.RunSite(called) ? 0 : 1;
        }
        catch (Exception e)
        {
            // No exception may cross translated code. The state is as in front of the instruction, which has not retired.
            core._failure = Failure.Exit($"vCPU {core._hart.Id}", e).Detail;
            context->Budget += called.Remaining;
            context->ExitKind = ExitKind.Stopped;
            return 1;
        }
    }

    /// <returns>The site of the access.</returns>
    private int LookAtMisses(int place)
    {
        ref readonly RecentPlace recent = ref _cache.PlaceAt(place);
        int entry = recent.Entry;
        ulong retired = _context->Interpreter.RetiredAtZero - (ulong)_context->Budget;
        if (retired - _missesSince[entry] < RecentPages.MissesToLook * RecentPages.InstructionsPerMiss)
            _cache.ForgoRecent(place);
        _missesSince[entry] = retired;
        _context->Recent.Left[entry] = RecentPages.MissesToLook;
        return recent.Site;
    }

    /// <returns>Whether the block goes on.</returns>
    private bool RunSite(in Site site)
    {
        TranslatorContext* c = _context;
        ref HartContext hart = ref c->Interpreter.Hart;
        hart.State.Pc = site.Pc;
        hart.Retired = c->Interpreter.RetiredAtZero - (ulong)c->Budget - site.Remaining;
        _hart.NextPc = site.Pc + site.Length;
        _codeChanged = false;
        if (!_fallbacks.Run(site.Row, _hart, c, site.Operands))
        {
            _hart.TakeTrap();
            c->Budget += site.Remaining;
        }
        else if (site.End == BlockEnd.Always || Volatile.Read(ref hart.Attention) != 0 || _codeChanged)
        {
            hart.State.Pc = _hart.NextPc;
            c->Budget += site.Remaining - 1;
        }
        else
        {
            return true;
        }

        c->ExitKind = ExitKind.Stopped;
        return false;
    }
}
