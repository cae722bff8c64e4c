using System.Diagnostics;
using VirtKit.Engines;
using VirtKit.State;
using VirtKit.Time;

namespace VirtKit.Scheduling;

/// <summary>Each vCPU on a thread of its own, in the host's time.</summary>
internal sealed class ThreadScheduler : VcpuScheduler
{
    private readonly HostClock _clock;
    private readonly Sleeper[] _sleepers;
    private readonly bool _holdsTime;

    public ThreadScheduler(Machine machine, MachineOptions options) : base(machine)
    {
        _holdsTime = options.StoppedTime == StoppedTime.Held;
        _clock = new HostClock(options.CalendarStart ?? TimeProvider.System.GetUtcNow(), _holdsTime, machine.Gate.WorkHere);
        _clock.TimerFailed += OnTimerFailed;
        _clock.PostFailed += OnPostFailed;
        _sleepers = [.. Enumerable.Range(0, options.VcpuCount).Select(_ => new Sleeper())];
    }

    public override MachineClock Clock => _clock;

    /// <summary>How a vCPU's thread is started.</summary>
    internal Action<Thread> StartThread { get; init; } = static thread => thread.Start();

    public override VcpuExit Run(Vcpu? only, ulong budget)
    {
        if (Machine.TakeExit(only) is { } earlier)
            return earlier;
        Resume();
        try
        {
            return only is null ? RunAllUntilStopped() : RunOne(only, budget);
        }
        finally
        {
            _clock.Stop();
        }
    }

    public override bool Pause()
    {
        if (!_clock.IsRunning)
            return false;
        _clock.Stop();
        return true;
    }

    public override void Resume()
    {
        TimeSpan stood = _clock.Start();
        if (stood > TimeSpan.Zero)
            Machine.Partition.GoOn(stood, _holdsTime);
    }

    public override void Drain() => _clock.Drain();

    public override void VisitTime(StateVisitor visitor) => _clock.Visit(visitor);

    public override void VisitSchedule(StateVisitor visitor) => _clock.VisitTimers(visitor);

    public override void Wake(int vcpu)
    {
        Sleeper sleeper = _sleepers[vcpu];
        if (sleeper.Asleep)
            sleeper.Signal.Set();
    }

    public override void Close(bool waits) => _clock.Close(waits);

    private VcpuExit RunAllUntilStopped()
    {
        while (true)
        {
            RunAll();
            if (Machine.TakeExit(only: null) is { } exit)
                return exit;
            Machine.AttachNext();
        }
    }

    /// <summary>Runs the vCPUs until <see cref="Machine.MustStop"/> brings them all back.</summary>
    private void RunAll()
    {
        var threads = new Thread[Machine.Vcpus.Count];
        for (int i = 0; i < threads.Length; i++)
        {
            Vcpu vcpu = Machine.Vcpus[i];
            threads[i] = new Thread(() => RunVcpu(vcpu)) { IsBackground = true, Name = $"VirtKit vCPU {i}" };
        }

        int started = 0;
        try
        {
            for (; started < threads.Length; started++)
                StartThread(threads[started]);
        }
        catch (Exception e)
        {
            // The others have run for a moment: they stop, and the guest can go on once the host has threads again.
            Machine.RequestStop(new VcpuExit(ExitReason.Kicked));
            throw new VirtKitException($"The host cannot start a thread for vCPU {started}: {e.Message}", e);
        }
        finally
        {
            foreach (Thread thread in threads.AsSpan(0, started))
                thread.Join();
        }
    }

    private void RunVcpu(Vcpu vcpu)
    {
        try
        {
            RunUntilStopped(vcpu);
        }
        catch (Exception e)
        {
            Machine.RequestStop(Failure.Exit($"vCPU {vcpu.Index}'s thread failed", e));
        }
    }

    private void RunUntilStopped(Vcpu vcpu)
    {
        Machine.Gate.WorkHere();
        VcpuCore core = vcpu.Core;
        Sleeper sleeper = _sleepers[vcpu.Index];
        while (!Machine.MustStop)
        {
            if (core.HasWork)
            {
                if (RunCore(vcpu, ulong.MaxValue) is not (ExitReason.BudgetExhausted or ExitReason.Kicked or ExitReason.Halted))
                    Machine.Interrupt(except: vcpu);
                continue;
            }

            sleeper.Asleep = true;
            // TIMING POINT 2: as TIMING POINT 1, for one vCPU.
            Interlocked.MemoryBarrier();
            if (!core.HasWork && !Machine.MustStop && !EndIfHalted())
                sleeper.Signal.Wait();
            sleeper.Asleep = false;
        }
    }

    /// <summary>Stops the machine where all vCPUs sleep and nothing can wake them. Each looks once it is asleep itself, so the last one sees all.</summary>
    private bool EndIfHalted()
    {
        if (!Array.TrueForAll(_sleepers, sleeper => sleeper.Asleep) || Machine.Halted() is not { } exit)
            return false;
        Machine.RequestStop(exit);
        return true;
    }

    /// <summary>Runs one vCPU on the calling thread. It does not sleep: a vCPU that waits comes back.</summary>
    private VcpuExit RunOne(Vcpu vcpu, ulong budget)
    {
        while (true)
        {
            if (Machine.TakeExit(vcpu) is { } earlier)
                return earlier;
            Machine.AttachNext();
            VcpuCore core = vcpu.Core;
            if (budget == 0)
                return new VcpuExit(ExitReason.BudgetExhausted);
            ulong retired = core.Retired;
            long start = Stopwatch.GetTimestamp();
            ExitReason reason = RunCore(vcpu, budget);
            if (Machine.TakeExit(vcpu) is { } exit)
                return exit;
            if (reason != ExitReason.Kicked)
                return new VcpuExit(reason);
            // The kick was meant for a run that had ended.
            ulong spent = Machine.Engine.CountsInstructions ? core.Retired - retired : (ulong)Stopwatch.GetElapsedTime(start).Ticks * 100;
            if (budget != ulong.MaxValue)
                budget -= Math.Min(budget, spent);
        }
    }

    private sealed class Sleeper
    {
        public readonly WakeSignal Signal = new();
        public volatile bool Asleep;
    }
}
