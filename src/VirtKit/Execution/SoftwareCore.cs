using VirtKit.Engines;

namespace VirtKit.Execution;

/// <summary>What the cores of all software engines have alike: the CPU that they run, and who wants them back.</summary>
internal abstract unsafe class SoftwareCore : VcpuCore, ICpuEngine
{
    private bool _endSlice;
    private ulong _exits;

    public override bool HasWork => Cpu.HasWork;

    public override string? CannotBeWoken => Cpu.CannotBeWoken;

    public override ulong Retired => Cpu.Context->Retired;

    public override VcpuCounters Counters => new(Retired, _exits, Cpu.MmioAccesses, Cpu.TlbMisses, Cpu.Traps);

    /// <summary>Set by the constructor; the CPU tells the core of changes while it is being made.</summary>
    protected GuestCpu Cpu { get; init; } = null!;

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
            // Also where a callback of the host threw: other CPUs' fences would wait for this one for ever.
            Cpu.LeaveGuest();
            LeaveCode();
            _endSlice = false;
            _exits++;
        }
    }

    public abstract bool HoldsLock { get; }

    public abstract void DataMappingChanged();

    public abstract void DataMappingChanged(ulong address);

    public abstract void SpaceChanged(int space);

    public abstract void CodeMappingChanged(int space);

    public abstract void CodeMappingChanged(int space, ulong address);

    public abstract void CodeBytesChanged();

    internal override IVcpuState<TState>? StateAs<TState>() => Cpu as IVcpuState<TState>;

    /// <summary>Runs until the budget is used up or something needs the host.</summary>
    protected abstract VcpuExit RunBlocks(long budget);

    /// <summary>The core does not run any more, however that came.</summary>
    protected virtual void LeaveCode() { }

    /// <summary>Serves what asked for attention.</summary>
    /// <returns>The exit that is due, or nothing.</returns>
    protected VcpuExit? ServeAttention()
    {
        if (Cpu.TakeExitRequest())
            return new VcpuExit(ExitReason.Kicked);
        if (_endSlice)
            return new VcpuExit(ExitReason.BudgetExhausted);
        Cpu.ServeAttention();
        return Cpu.CanRun() ? null : new VcpuExit(ExitReason.Halted);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            Cpu.Dispose();
        base.Dispose(disposing);
    }
}
