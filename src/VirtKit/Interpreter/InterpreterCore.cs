using VirtKit.Engines;
using VirtKit.RiscV;

namespace VirtKit.Interpreter;

/// <summary>Runs one hart: finds the block at the pc, runs blocks until a handler leaves, looks around, and again.</summary>
internal sealed unsafe class InterpreterCore : VcpuCore, IVcpuState<RiscVState>, IHartEngine
{
    private readonly Hart _hart;
    private readonly InterpreterContext* _context;
    private readonly CodeCache _code;
    private readonly InterpreterDispatch _dispatch;
    private readonly BlockBuilder.FetchHalf _fetchOnce;
    private bool _endSlice;
    private ulong _exits;

    /// <summary>Why and where <see cref="FetchOnce"/> could not fetch.</summary>
    private TrapCause _fetchCause;
    private ulong _fetchFault;

    public InterpreterCore(RiscVSystem system, int index, HandlerTable handlers, InterpreterDispatch dispatch, long codeLimit)
    {
        _dispatch = dispatch;
        _code = new CodeCache(system.Instructions, handlers, codeLimit);
        _fetchOnce = FetchOnce;
        _hart = new Hart(system, index, sizeof(InterpreterContext), this);
        _context = (InterpreterContext*)_hart.Context;
    }

    public override bool HasWork => _hart.HasWork;

    public override string? CannotBeWoken => _hart.CannotBeWoken;

    public override ulong Retired => _context->Hart.Retired;

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
        _context->RetiredAtZero = Retired + (ulong)(start - Op.MaxBlockLength);
        try
        {
            _hart.EnterGuest();
            _hart.RequestAttention();
            return RunBlocks(start);
        }
        finally
        {
            // Also where a callback of the host threw: other harts' fences would wait for this one for ever.
            _hart.LeaveGuest();
            _endSlice = false;
            _exits++;
        }
    }

    bool IHartEngine.HoldsLock => false;

    void IHartEngine.DataMappingChanged()
    {
        // Handlers look at the TLB itself, each time.
    }

    void IHartEngine.DataMappingChanged(ulong address)
    {
    }

    void IHartEngine.CodeMappingChanged()
    {
        ForgetLink();
        _code.ForgetJumps();
    }

    void IHartEngine.CodeMappingChanged(ulong address)
    {
        ForgetLink();
        _code.ForgetJumps(address);
    }

    void IHartEngine.CodeBytesChanged()
    {
        ForgetLink();
        _code.BytesChanged();
    }

    /// <summary>What is mapped anew between an exit and the block that is found for it is not to be linked: the exit may belong to what was there before.</summary>
    private void ForgetLink()
    {
        // The hart resets itself before there is a context.
        if (_context != null)
            _context->WantsLink = null;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hart.Dispose();
            _code.Dispose();
        }

        base.Dispose(disposing);
    }

    private VcpuExit RunBlocks(long left)
    {
        InterpreterContext* c = _context;
        while (true)
        {
            // An end comes before the interrupts that are due with it: they are taken when the hart goes on, from among all that are pending then.
            if (left <= 0)
                return new VcpuExit(ExitReason.BudgetExhausted);
            if (Volatile.Read(ref c->Hart.Attention) != 0 && LookAround() is { } exit)
                return exit;
            Op* op = Find(left);
            if (op != null)
                left = Execute(op, left - Op.MaxBlockLength) + Op.MaxBlockLength;
            c->Hart.Retired = c->RetiredAtZero - (ulong)(left - Op.MaxBlockLength);
            if (_hart.TrapsWithoutEnd)
                return _hart.TrapExit();
        }
    }

    /// <summary>Serves what asked for attention.</summary>
    /// <returns>The exit that is due, or nothing.</returns>
    private VcpuExit? LookAround()
    {
        if (_hart.TakeExitRequest())
            return new VcpuExit(ExitReason.Kicked);
        if (_endSlice)
            return new VcpuExit(ExitReason.BudgetExhausted);
        _hart.LookAround();
        return _hart.CanRun() ? null : new VcpuExit(ExitReason.Halted);
    }

    private long Execute(Op* op, long budget)
    {
        if (_dispatch == InterpreterDispatch.TailThreaded)
            return op->Handler(_hart, op, _context, budget);
        for (_context->Next = op; _context->Next != null;)
        {
            op = _context->Next;
            budget = op->Handler(_hart, op, _context, budget);
        }

        return budget;
    }

    /// <summary>The block at the pc, no longer than what is left of the budget.</summary>
    /// <returns>Its first op, or null where a trap was taken instead.</returns>
    private Op* Find(long left)
    {
        InterpreterContext* c = _context;
        ulong pc = c->Hart.State.Pc;
        c->Jumps = _code.JumpsOf(c->Hart.State.Privilege);
        JumpEntry* entry = JumpEntry.At(c->Jumps, pc);
        Op* op = entry->Pc == pc ? entry->Op : Translate(pc, entry);
        if (op == null)
            return null;
        if (c->WantsLink != null)
        {
            // An interrupt may have come in between, and only what stands in the jump cache is kept; otherwise the exit asks again.
            if (c->WantsLink->Pc == pc && JumpEntry.At(c->Jumps, pc)->Op == op)
                c->WantsLink->Link = op;
            c->WantsLink = null;
        }

        return BlockHeader.Of(op)->Count <= left ? op : BuildOnce(pc, (int)left);
    }

    private Op* Translate(ulong pc, JumpEntry* entry)
    {
        if (_hart.Mmu.TranslateCode(pc, out ulong page, out byte* host, out bool cached) is { } cause)
            return Trap(cause, pc);
        if (!cached)
            return BuildOnce(pc, 1);
        if (_code.DropIfFull())
            _context->WantsLink = null;
        Op* op = _code.Find(pc, page, host);
        if (op == null)
            return FindCrossing(pc, host);
        entry->Pc = pc;
        entry->Op = op;
        return op;
    }

    private Op* FindCrossing(ulong pc, byte* host)
    {
        if (_hart.Mmu.TranslateCode(pc + 2, out _, out byte* nextHost, out _) is { } cause)
            return Trap(cause, pc + 2);
        return _code.FindCrossing(pc, *(ushort*)(host + 0xffe) | (uint)*(ushort*)nextHost << 16);
    }

    /// <summary>A block that is not kept: cut to the budget, or of code whose translation is not.</summary>
    private Op* BuildOnce(ulong pc, int limit)
    {
        Op* op = _code.BuildOnce(pc, limit, _fetchOnce);
        return op == null ? Trap(_fetchCause, _fetchFault) : op;
    }

    private ushort? FetchOnce(ulong address)
    {
        if (_hart.Mmu.TranslateCode(address, out _, out byte* host, out _) is not { } cause)
            return *(ushort*)(host + (address & 0xfff));
        (_fetchCause, _fetchFault) = (cause, address);
        return null;
    }

    private Op* Trap(TrapCause cause, ulong address)
    {
        _hart.Trap(cause, address);
        _hart.TakeTrap();
        return null;
    }
}
