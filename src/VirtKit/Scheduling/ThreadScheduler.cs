using VirtKit.Engines;
using VirtKit.Time;

namespace VirtKit.Scheduling;

/// <summary>Each vCPU on a thread of its own, in the host's time.</summary>
internal sealed class ThreadScheduler : VcpuScheduler
{
    private readonly HostClock _clock;
    private readonly Sleeper[] _sleepers;

    public ThreadScheduler(Machine machine, MachineOptions options) : base(machine)
    {
        _clock = new HostClock(options.CalendarStart ?? TimeProvider.System.GetUtcNow());
        _clock.TimerFailed += OnTimerFailed;
        _sleepers = [.. Enumerable.Range(0, options.VcpuCount).Select(_ => new Sleeper())];
    }

    public override MachineClock Clock => _clock;

    public override VcpuExit Run()
    {
        var threads = new Thread[Machine.Vcpus.Count];
        for (int i = 0; i < threads.Length; i++)
        {
            Vcpu vcpu = Machine.Vcpus[i];
            threads[i] = new Thread(() => RunVcpu(vcpu)) { IsBackground = true, Name = $"VirtKit vCPU {i}" };
        }

        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();
        return Machine.PendingStop!.Exit;
    }

    public override void Wake(int vcpu)
    {
        Sleeper sleeper = _sleepers[vcpu];
        if (sleeper.Asleep)
            sleeper.Signal.Set();
    }

    public override void Dispose()
    {
        _clock.Dispose();
        foreach (Sleeper sleeper in _sleepers)
            sleeper.Dispose();
    }

    private void RunVcpu(Vcpu vcpu)
    {
        VcpuCore core = vcpu.Core;
        Sleeper sleeper = _sleepers[vcpu.Index];
        while (Machine.PendingStop is null)
        {
            if (core.HasWork)
            {
                Run(core, ulong.MaxValue);
                continue;
            }

            sleeper.Asleep = true;
            // TIMING POINT 2: as TIMING POINT 1, for one vCPU.
            Interlocked.MemoryBarrier();
            if (!core.HasWork && Machine.PendingStop is null)
                sleeper.Signal.WaitOne();
            sleeper.Asleep = false;
        }
    }

    private sealed class Sleeper : IDisposable
    {
        public readonly AutoResetEvent Signal = new(initialState: false);
        public volatile bool Asleep;

        public void Dispose() => Signal.Dispose();
    }
}
