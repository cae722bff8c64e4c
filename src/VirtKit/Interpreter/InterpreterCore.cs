using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>Runs one CPU in a loop: looks up the block at the pc, executes blocks until a handler leaves, serves Attention.</summary>
internal sealed unsafe class InterpreterCore : SoftwareCore
{
    private readonly InterpreterContext* _context;
    private readonly CodeCache _code;
    private readonly InterpreterDispatch _dispatch;
    private int _space;

    public InterpreterCore(GuestSystem system, int index, HandlerTable handlers, InterpreterDispatch dispatch, long codeLimit)
        : base(system, index, new ContextSize(0, sizeof(InterpreterContext)))
    {
        _dispatch = dispatch;
        _code = new CodeCache(system, handlers, codeLimit);
        _context = (InterpreterContext*)Context;
    }

    public override bool HoldsLock => false;

    public override void DataMappingChanged()
    {
        // Handlers look the TLB up themselves, each time.
    }

    public override void DataMappingChanged(ulong address)
    {
    }

    public override void SpaceChanged(int space)
    {
        _space = space;
        ForgetLink();
        _code.ForgetJumps();
    }

    public override void CodeMappingChanged(int space)
    {
        // The jump cache holds the current address space only.
        if (space != _space)
            return;
        ForgetLink();
        _code.ForgetJumps();
    }

    public override void CodeMappingChanged(int space, ulong address)
    {
        if (space != _space)
            return;
        ForgetLink();
        _code.ForgetJumps(address);
    }

    public override void CodeBytesChanged()
    {
        ForgetLink();
        _code.BytesChanged();
    }

    /// <summary>Called when code may have been mapped anew: the exit that was left last may belong to the old mapping, and must not be linked to a block of the new one.</summary>
    private void ForgetLink() => _context->WantsLink = null;

    protected override VcpuExit RunBlocks(long left)
    {
        InterpreterContext* c = _context;
        c->RetiredAtZero = Retired + (ulong)(left - Op.MaxBlockLength);
        while (true)
        {
            // An end comes before the interrupts that are due with it: they are taken when the CPU goes on, from among all that are pending then.
            if (left <= 0)
                return new VcpuExit(ExitReason.BudgetExhausted);
            if (Volatile.Read(ref c->Cpu.Attention) != 0 && ServeAttention() is { } exit)
                return exit;
            if (Cpu.StopsAt(c->Cpu.Pc))
                return new VcpuExit(ExitReason.Breakpoint);
            Op* op = Find(left);
            if (op != null)
                left = Execute(op, left - Op.MaxBlockLength) + Op.MaxBlockLength;
            else
                Cpu.TakeTrap();
            c->Cpu.Retired = c->RetiredAtZero - (ulong)(left - Op.MaxBlockLength);
            if (Cpu.TrapsWithoutEnd)
                return Cpu.TrapExit();
        }
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
            _code.Dispose();
    }

    private long Execute(Op* op, long budget)
    {
        if (_dispatch == InterpreterDispatch.TailThreaded)
            return op->Handler(Cpu, op, _context, budget);
        for (_context->Next = op; _context->Next != null;)
        {
            op = _context->Next;
            budget = op->Handler(Cpu, op, _context, budget);
        }

        return budget;
    }

    /// <summary>The block at the pc, no longer than what is left of the budget.</summary>
    /// <returns>Its first op, or null where an exception is recorded instead.</returns>
    private Op* Find(long left)
    {
        InterpreterContext* c = _context;
        ulong pc = c->Cpu.Pc;
        c->Jumps = _code.JumpsOf(Cpu.CodeMode);
        JumpEntry* entry = JumpEntry.At(c->Jumps, pc);
        Op* op = entry->Pc == pc ? entry->Op : LookUp(pc, entry);
        if (op == null)
            return null;
        if (c->WantsLink != null)
        {
            // Linked only if no interrupt has changed the pc meanwhile and the block is in the jump cache; otherwise the exit requests the link again the next time.
            if (c->WantsLink->Pc == pc && JumpEntry.At(c->Jumps, pc)->Op == op)
                c->WantsLink->Link = op;
            c->WantsLink = null;
        }

        return BlockHeader.Of(op)->Count <= left ? op : _code.BuildOnce(Cpu, pc, (int)left);
    }

    private Op* LookUp(ulong pc, JumpEntry* entry)
    {
        if (!Cpu.TryFindCode(pc, out ulong page, out byte* host, out bool cached))
            return null;
        if (!cached)
            return _code.BuildOnce(Cpu, pc, 1);
        if (_code.DropIfFull())
            _context->WantsLink = null;
        Op* op = _code.Find(Cpu, pc, page, host, out bool crosses);
        if (crosses)
            return op;
        entry->Pc = pc;
        entry->Op = op;
        return op;
    }
}
