using VirtKit.Engines;

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

    /// <summary>Runs one vCPU and stops the machine if its exit concerns more than the schedule.</summary>
    protected ExitReason Run(VcpuCore core, ulong budget)
    {
        VcpuExit exit;
        try
        {
            exit = core.Run(budget);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Our own bug; on a vCPU's thread an exception would end the host's process.
            exit = new VcpuExit(ExitReason.InternalError, 0, e.ToString());
        }

        if (exit.Reason is not (ExitReason.BudgetExhausted or ExitReason.Kicked or ExitReason.Halted))
            Machine.RequestStop(exit);
        return exit.Reason;
    }

    protected void OnTimerFailed(Exception error) => Machine.RequestStop(new VcpuExit(ExitReason.InternalError, 0, $"A timer's callback failed: {error}"));
}
