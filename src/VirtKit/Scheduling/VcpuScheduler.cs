using VirtKit.Engines;
using VirtKit.State;

namespace VirtKit.Scheduling;

/// <summary>Runs a machine's vCPUs until one exit or request stops them all.</summary>
internal abstract class VcpuScheduler(Machine machine) : IDisposable
{
    protected Machine Machine { get; } = machine;

    public abstract MachineClock Clock { get; }

    /// <summary>Runs on the calling thread, which owns the machine, until there is an exit.</summary>
    /// <param name="only">The one vCPU to run, or <see langword="null"/> for all.</param>
    /// <param name="budget">The most instructions to retire, over all vCPUs that run.</param>
    public abstract VcpuExit Run(Vcpu? only, ulong budget);

    /// <summary>The vCPU may have work although it was halted. Any thread.</summary>
    public abstract void Wake(int vcpu);

    /// <summary>Begins the schedule anew. The machine does not run.</summary>
    public virtual void Reset() { }

    /// <summary>Lets the time stand in the middle of a run, so that no timer fires and nothing is posted while the machine is looked at. No vCPU runs.</summary>
    /// <returns>Whether it ran, and <see cref="Resume"/> is due.</returns>
    public virtual bool Pause() => false;

    /// <summary>Ends what <see cref="Pause"/> began.</summary>
    public virtual void Resume() { }

    /// <summary>Runs what was posted, so that nothing waits outside of what is saved. The machine stands, as between two slices.</summary>
    public abstract void Drain();

    /// <summary>The time, before everything that measures with it.</summary>
    public abstract void VisitTime(StateVisitor visitor);

    /// <summary>The timers in their order, and whose turn it is; behind everything else.</summary>
    public abstract void VisitSchedule(StateVisitor visitor);

    /// <summary>Ends the clock. No vCPU runs any more; <see cref="Wake"/> may still come.</summary>
    /// <param name="waits">Whether to wait for a callback of the clock that is under way.</param>
    public abstract void Close(bool waits);

    public void Dispose() => Close(waits: true);

    /// <summary>Runs one vCPU and stops the machine if its exit concerns more than the schedule.</summary>
    protected ExitReason RunCore(Vcpu vcpu, ulong budget)
    {
        VcpuExit exit;
        try
        {
            exit = vcpu.Core.Run(budget);
        }
        catch (Exception e)
        {
            // A callback of the host's, or our own bug; on a vCPU's thread an exception would end the host's process.
            exit = Failure.Exit($"vCPU {vcpu.Index}", e);
        }

        if (exit.Reason is not (ExitReason.BudgetExhausted or ExitReason.Kicked or ExitReason.Halted))
            Machine.Stop(vcpu, exit);
        return exit.Reason;
    }

    protected void OnPostFailed(object gate, Exception error) => Machine.RequestStop(Failure.Exit("A posted action failed", gate, error));

    protected void OnTimerFailed(object gate, Exception error) => Machine.RequestStop(Failure.Exit("A timer's callback failed", gate, error));
}
