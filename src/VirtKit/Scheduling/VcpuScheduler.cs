namespace VirtKit.Scheduling;

/// <summary>Runs a machine's vCPUs until one exit or request stops them all.</summary>
internal abstract class VcpuScheduler(Machine machine) : IDisposable
{
    protected Machine Machine { get; } = machine;

    public abstract MachineClock Clock { get; }

    public abstract VcpuExit Run();

    /// <summary>The vCPU may have work although it was halted. Any thread.</summary>
    public abstract void Wake(int vcpu);

    public abstract void Dispose();

    /// <summary>Whether an exit concerns the machine rather than the schedule.</summary>
    protected static bool StopsMachine(ExitReason reason) => reason is not (ExitReason.BudgetExhausted or ExitReason.Kicked or ExitReason.Halted);
}
