using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.Checking;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Interpreter;

namespace VirtKit.Accel.Translator;

/// <summary>Runs one CPU: finds the translation at the pc, enters it until it leaves, serves what asks for attention, and again. What is left of a budget behind the last whole block
/// is run by the interpreter's handlers.</summary>
internal sealed unsafe class TranslatorCore : SoftwareCore
{
    private readonly TranslatorContext* _context;
    private readonly TranslationCache _cache;
    private readonly FallbackTable _fallbacks;
    /// <summary>The jump caches of the address spaces that the CPU keeps apart.</summary>
    private readonly JumpCache?[] _spaces;
    private readonly GuestSystem _system;
    private readonly Stepper _stepper;
    private readonly Func<ulong, CodeLocation?> _nextPage;
    private GCHandle _self;
    private string? _failure;
    /// <summary>That of the current address space.</summary>
    private JumpCache _jumps;
    private bool _codeChanged;
    private int _inCode;
    private long _epoch;
    private int _wantsLink = -1;
    private ulong _wantsLinkPc;
    private bool _wantsOneOff;

    /// <summary>What had retired when each recent page's misses were counted anew.</summary>
    private readonly ulong[] _missesSince = new ulong[2 * RecentPages.Count];

    public TranslatorCore(GuestSystem system, int index, TranslationCache cache, FallbackTable fallbacks, HandlerTable handlers, Shadow? shadow)
        : base(system, index, TranslatorContext.Size)
    {
        Shadow = shadow;
        _system = system;
        _spaces = new JumpCache?[system.Spaces];
        _spaces[0] = _jumps = new JumpCache(system);
        _cache = cache;
        _fallbacks = fallbacks;
        _context = TranslatorContext.Of(Context);
        _stepper = new Stepper(system.Instructions, handlers, Cpu, &_context->Interpreter);
        // Weak, so that it does not keep a machine that nobody disposed of; while code runs, the caller's frame keeps the core.
        _self = GCHandle.Alloc(this, GCHandleType.Weak);
        _context->Core = GCHandle.ToIntPtr(_self);
        _context->Fallback = &RunFallback;
        _context->Masks = FloatMasks.Create();
        _context->Recent.Reset();
        _nextPage = address => Cpu.TryFindCode(address, out ulong page, out byte* host, out bool cached) && cached ? new CodeLocation(page, host) : null;
        cache.Add(this);
    }

    /// <summary>A core that nobody disposed of has a handle to give back; its memory has finalizers of its own.</summary>
    ~TranslatorCore() => Dispose(disposing: false);

    /// <summary>What checks every block, or <see langword="null"/>. It sees single blocks: then nothing is linked, and no jump is cached.</summary>
    public Shadow? Shadow { get; }

    public override bool HoldsLock => _cache is { IsGateHeld: true };

    public override void DataMappingChanged() => _context->Recent.Forget();

    public override void DataMappingChanged(ulong address) => _context->Recent.Forget(address & ~0xfffUL);

    // What is mapped anew between an exit and the code that is found for it is not to be linked: the exit may belong to what was there before.
    public override void SpaceChanged(int space)
    {
        _codeChanged = true;
        _wantsLink = -1;
        _jumps = _spaces[space] ??= new JumpCache(_system);
    }

    public override void CodeMappingChanged(int space)
    {
        _codeChanged = true;
        _wantsLink = -1;
        _spaces[space]?.Forget();
    }

    public override void CodeMappingChanged(int space, ulong address)
    {
        _codeChanged = true;
        _wantsLink = -1;
        _spaces[space]?.Forget(address);
    }

    public override void CodeBytesChanged()
    {
        _codeChanged = true;
        _wantsLink = -1;
        _cache.BytesChanged();
        ForgetJumps();
    }

    /// <summary>While it waits for others, this core is not running guest code: fences of theirs do not wait for it.</summary>
    public void LeaveForOthers() => Cpu.LeaveGuest();

    public void Return() => Cpu.EnterGuest();

    /// <summary>Whether remote fences wait for this core. Any thread.</summary>
    public bool IsInGuest => Cpu.IsInGuest;

    /// <summary>Whether this core's thread is in translated code or in a function that it calls: evictions wait for it. Any thread.</summary>
    public bool IsInCode => Volatile.Read(ref _inCode) != 0;

    /// <summary>Whether the host wants this core to come back. Any thread.</summary>
    public bool IsExitRequested => Cpu.IsExitRequested;

    /// <summary>Returns when this core's thread is not in translated code. From another core's thread.</summary>
    /// <returns>Whether it is not; if it is, the caller is asked to stop.</returns>
    public bool WaitUntilOutside(TranslatorCore caller)
    {
        SpinWait wait = default;
        while (IsInCode)
        {
            if (caller.IsExitRequested)
                return false;
            Cpu.RequestAttention();
            wait.SpinOnce();
        }

        return true;
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            foreach (JumpCache? space in _spaces)
                space?.Dispose();
            _stepper.Dispose();
            _cache.Remove(this);
        }

        if (_self.IsAllocated)
            _self.Free();
    }

    public override bool TryRunToStop(ulong budget)
    {
        TranslatorContext* c = _context;
        ref CpuContext cpu = ref c->Interpreter.Cpu;
        if (c->Jumps == null || Shadow is not null || Volatile.Read(ref cpu.Attention) != 0)
            return false;
        // The table of the last lookup: a CPU that runs alone has one address space and one mode.
        var entry = (CodeEntry*)((byte*)c->Jumps + CodeEntry.OffsetOf(cpu.Pc));
        if (entry->Pc != cpu.Pc)
            return false;
        // TIMING POINT 4: as in Enter.
        Volatile.Write(ref _inCode, 1);
        if (_epoch == _cache.Epoch)
        {
            c->Budget = (long)Math.Min(budget, long.MaxValue / 2);
            c->Interpreter.RetiredAtZero = cpu.Retired + (ulong)c->Budget;
            _cache.Enter(c, entry->Code);
            cpu.Retired = c->Interpreter.RetiredAtZero - (ulong)c->Budget;
            if (c->ExitKind != ExitKind.Stopped)
                TakeExit();
        }

        Volatile.Write(ref _inCode, 0);
        return Cpu.StopsAt(cpu.Pc) && _failure is null;
    }

    protected override VcpuExit RunBlocks(long budget)
    {
        TranslatorContext* c = _context;
        ref CpuContext cpu = ref c->Interpreter.Cpu;
        c->Budget = budget;
        c->Interpreter.RetiredAtZero = Retired + (ulong)budget;
        while (true)
        {
            if (_failure is not null)
                return TakeFailure();
            // An end comes before the interrupts that are due with it: they are taken when the hart goes on, from among all that are pending then.
            if (c->Budget <= 0)
                return new VcpuExit(ExitReason.BudgetExhausted);
            if (Volatile.Read(ref cpu.Attention) != 0 && ServeAttention() is { } exit)
                return exit;
            if (Cpu.StopsAt(cpu.Pc))
                return new VcpuExit(ExitReason.Breakpoint);
            byte* code = Find(cpu.Pc, out bool stepsOnce);
            if (code != null)
                Enter(code);
            else if (stepsOnce)
                c->Budget = _stepper.Run(cpu.Pc, 1, c->Budget);
            cpu.Retired = c->Interpreter.RetiredAtZero - (ulong)c->Budget;
            if (Cpu.TrapsWithoutEnd)
                return Cpu.TrapExit();
        }
    }

    private VcpuExit TakeFailure()
    {
        var exit = new VcpuExit(ExitReason.InternalError, 0, _failure);
        _failure = null;
        return exit;
    }

    protected override void LeaveCode() => Volatile.Write(ref _inCode, 0);

    /// <summary>The translation at the pc.</summary>
    /// <param name="stepsOnce">Whether the instruction at the pc cannot be kept translated, and has to be run by itself.</param>
    /// <returns>The code; null where a trap was taken instead, for <paramref name="stepsOnce"/>, or to try again.</returns>
    private byte* Find(ulong pc, out bool stepsOnce)
    {
        stepsOnce = false;
        if (_epoch != _cache.Epoch)
            ForgetCode();
        CodeEntry* table = _jumps.TableOf(Cpu.CodeMode);
        _context->Jumps = table;
        var entry = (CodeEntry*)((byte*)table + CodeEntry.OffsetOf(pc));
        // An interrupt may have come in between; then the exit asks again next time.
        bool links = _wantsLink >= 0 && _wantsLinkPc == pc, oneOff = links && _wantsOneOff;
        byte* code = entry->Pc == pc && !oneOff ? entry->Code : LookUp(pc, oneOff, entry, out stepsOnce);
        if (code != null)
        {
            if (links && _wantsLink >= 0 && Shadow is null)
                _cache.TryLink(_wantsLink, code, _epoch);
            _wantsLink = -1;
        }

        return code;
    }

    private byte* LookUp(ulong pc, bool oneOff, CodeEntry* entry, out bool stepsOnce)
    {
        stepsOnce = false;
        if (!_cache.TryBeginLookup(this))
            return null;
        try
        {
            if (!Cpu.TryFindCode(pc, out ulong page, out byte* host, out bool cached))
            {
                Cpu.TakeTrap();
                return null;
            }

            byte* code = null;
            if (cached && !_cache.TryFind(this, pc, oneOff, new CodeLocation(page, host), _nextPage, out code))
                return null;
            if (code == null)
            {
                stepsOnce = true;
                return null;
            }

            // Everything may have been dropped since this core looked; what was found is from after that.
            if (_epoch != _cache.Epoch)
                ForgetCode();
            if (Shadow is null && !oneOff)
            {
                _jumps.Fill(entry, pc, code);
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
        ForgetJumps();
    }

    private void ForgetJumps()
    {
        foreach (JumpCache? space in _spaces)
            space?.Forget();
    }

    private void Enter(byte* code)
    {
        TranslatorContext* c = _context;
        // TIMING POINT 4: who evicts orders this write before the reading of the epoch.
        Volatile.Write(ref _inCode, 1);
        if (_epoch == _cache.Epoch)
        {
            Shadow?.Predict(Cpu);
            long before = c->Budget;
            _cache.Enter(c, code);
            if (c->ExitKind != ExitKind.Stopped)
                TakeExit();
            if (Shadow?.Difference(Cpu, (int)(before - c->Budget), code) is { } difference)
                _failure ??= difference;
        }

        Volatile.Write(ref _inCode, 0);
        if (c->ExitKind == ExitKind.Budget && _failure is null)
        {
            c->ExitKind = ExitKind.Stopped;
            if (c->Budget > 0)
                c->Budget = _stepper.Run(c->Interpreter.Cpu.Pc, (int)Math.Min(c->Budget, Op.MaxBlockLength), c->Budget);
        }
    }

    private void TakeExit()
    {
        ref readonly ExitRecord exit = ref _cache.ExitAt(_context->Exit);
        _context->Interpreter.Cpu.Pc = exit.Pc;
        if (_context->ExitKind != ExitKind.Unlinked)
            return;
        _wantsLink = _context->Exit;
        _wantsLinkPc = exit.Pc;
        _wantsOneOff = exit.IsOneOff;
    }

    [UnmanagedCallersOnly]
    private static int RunFallback(TranslatorContext* context, int site)
    {
        var core = Unsafe.As<TranslatorCore>(GCHandle.FromIntPtr(context->Core).Target!);
        ref readonly Site called = ref core._cache.SiteAt(site < 0 ? core.CheckMissRate(~site) : site);
        try
        {
            return core.RunSite(called) ? 0 : 1;
        }
        catch (Exception e)
        {
            // No exception may cross translated code. The state is as in front of the instruction, which has not retired.
            core._failure = Failure.Exit($"vCPU {core.Cpu.Id}", e).Detail;
            context->Budget += called.Remaining;
            context->ExitKind = ExitKind.Stopped;
            return 1;
        }
    }

    /// <returns>The site of the access.</returns>
    private int CheckMissRate(int probe)
    {
        ref readonly PageProbe recent = ref _cache.ProbeAt(probe);
        int entry = recent.Entry;
        ulong retired = _context->Interpreter.RetiredAtZero - (ulong)_context->Budget;
        if (retired - _missesSince[entry] < RecentPages.MissesToCheck * RecentPages.InstructionsPerMiss)
            _cache.DisableProbe(probe);
        _missesSince[entry] = retired;
        _context->Recent.Left[entry] = RecentPages.MissesToCheck;
        return recent.Site;
    }

    /// <returns>Whether the block goes on.</returns>
    private bool RunSite(in Site site)
    {
        TranslatorContext* c = _context;
        ref CpuContext cpu = ref c->Interpreter.Cpu;
        cpu.Pc = site.Pc;
        cpu.Retired = c->Interpreter.RetiredAtZero - (ulong)c->Budget - site.Remaining;
        Cpu.NextPc = site.Pc + site.Length;
        _codeChanged = false;
        if (!_fallbacks.Run(site.Row, Cpu, c, site.Operands))
        {
            Cpu.TakeTrap();
            c->Budget += site.Remaining;
        }
        else if (site.End == BlockEnd.Always || Volatile.Read(ref cpu.Attention) != 0 || _codeChanged)
        {
            cpu.Pc = Cpu.NextPc;
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
