using VirtKit.Engines;

namespace VirtKit.Execution;

/// <summary>The common part of the software engines' cores: the attached CPU, and the requests that end a run.</summary>
internal abstract unsafe class SoftwareCore : VcpuCore, ICpuEngine
{
    private readonly CpuMemory _memory;
    private bool _endSlice;

    /// <param name="system">The machine's CPUs.</param>
    /// <param name="index">The number of the one that this core runs, once it is attached.</param>
    /// <param name="size">The engine's part of its memory.</param>
    protected SoftwareCore(GuestSystem system, int index, ContextSize size)
    {
        Cpu = system.Cpu(index);
        _memory = Cpu.CreateMemory(size);
    }

    public override bool HasWork => Cpu.HasWork;

    public override string? CannotBeWoken => Cpu.CannotBeWoken;

    public override ulong Retired => Cpu.Context->Retired;

    public override VcpuCounters Counters => new(Retired, Cpu.Exits, Cpu.MmioAccesses, Cpu.TlbMisses, Cpu.Traps);

    protected GuestCpu Cpu { get; }

    /// <summary>The CPU's context in this engine's memory, which is the CPU's own while the core is attached.</summary>
    protected CpuContext* Context => _memory.Context;

    public override void RequestExit() => Cpu.RequestExit();

    public override void EndSlice()
    {
        _endSlice = true;
        Cpu.RequestAttention();
    }

    public override bool HasPin(int pin) => Cpu.HasPin(pin);

    public override void SetPin(int pin, bool level) => Cpu.SetPin(pin, level);

    public override void Reset() => Cpu.Reset();

    public override void SynchronizeCode() => Cpu.SynchronizeCode();

    public sealed override VcpuExit Run(ulong budget)
    {
        try
        {
            Cpu.EnterGuest();
            Cpu.RequestAttention();
            return RunBlocks((long)Math.Min(budget, long.MaxValue / 2));
        }
        finally
        {
            // Also after an exception of a host callback: otherwise remote fences of other CPUs would wait for this one for ever.
            Cpu.EndRun();
            LeaveCode();
            _endSlice = false;
        }
    }

    /// <summary>As <see cref="Run"/>, of a CPU that is the only one and takes no interrupts: nobody fences it, and it never waits.</summary>
    public VcpuExit RunAlone(ulong budget)
    {
        try
        {
            return RunBlocks((long)Math.Min(budget, long.MaxValue / 2));
        }
        finally
        {
            LeaveCode();
        }
    }

    /// <summary>Runs a CPU as <see cref="RunAlone"/> does where that is short: from code that is known already to where it stops (<see cref="GuestCpu.StopsAt"/>).</summary>
    /// <returns>Whether it has stopped there; if not, it may have got on, and <see cref="RunAlone"/> goes on.</returns>
    public virtual bool TryRunToStop(ulong budget) => false;

    public abstract bool HoldsLock { get; }

    public abstract void DataMappingChanged();

    public abstract void DataMappingChanged(ulong address);

    public abstract void SpaceChanged(int space);

    public abstract void CodeMappingChanged(int space);

    public abstract void CodeMappingChanged(int space, ulong address);

    public abstract void CodeBytesChanged();

    internal override IVcpuState<TState>? StateAs<TState>() => Cpu as IVcpuState<TState>;

    internal override void Attach() => Cpu.Attach(this, _memory);

    /// <summary>Runs until the budget is used up or something needs the host.</summary>
    protected abstract VcpuExit RunBlocks(long budget);

    /// <summary>The run has ended, by an exit or by an exception.</summary>
    protected virtual void LeaveCode() { }

    /// <summary>Serves Attention.</summary>
    /// <returns>The exit that is due, or nothing.</returns>
    protected VcpuExit? ServeAttention()
    {
        if (Cpu.TakeExit() is { } asked)
            return asked;
        // Record and replay name a moment of a run by its retired count, and a trap retires nothing: a run therefore ends before a trap or behind the first instruction of the
        // handler, never right behind the trap. The end of a budget is such a moment too.
        bool mayEnd = !Cpu.HasJustTrapped;
        if (mayEnd && Cpu.TakeExitRequest())
            return new VcpuExit(ExitReason.Kicked);
        if (mayEnd && _endSlice)
            return new VcpuExit(ExitReason.BudgetExhausted);
        Cpu.ServeAttention();
        if (_endSlice)
            Cpu.RequestAttention();
        return Cpu.CanRun() ? null : new VcpuExit(ExitReason.Halted);
    }
}
