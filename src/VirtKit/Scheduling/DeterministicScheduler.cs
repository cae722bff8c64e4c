using VirtKit.Engines;
using VirtKit.Time;

namespace VirtKit.Scheduling;

/// <summary>All vCPUs in turns on one thread, in virtual time. A slice ends at the quantum or at the clock's next deadline, to the instruction.</summary>
internal sealed class DeterministicScheduler : VcpuScheduler
{
    /// <summary>2000-01-01: a guest that checks its calendar gets a plausible date, and the same in every run.</summary>
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly VirtualClock _clock;
    private readonly ulong _quantum;
    private readonly AutoResetEvent _wake = new(initialState: false);
    private volatile bool _waiting;
    private int _turn;

    public DeterministicScheduler(Machine machine, MachineOptions options) : base(machine)
    {
        _clock = new VirtualClock(options.NanosecondsPerInstruction, options.CalendarStart ?? Epoch);
        _clock.TimerFailed += OnTimerFailed;
        _clock.DeadlineChanged += WakeUp;
        _quantum = options.Quantum;
    }

    public override MachineClock Clock => _clock;

    public override VcpuExit Run()
    {
        IReadOnlyList<Vcpu> vcpus = Machine.Vcpus;
        while (true)
        {
            bool worked = false;
            for (int i = 0; i < vcpus.Count; i++)
            {
                // The turn outlives this call, so that a machine that was stopped and goes on runs as one that was not.
                VcpuCore core = vcpus[_turn].Core;
                if (core.HasWork)
                {
                    worked = true;
                    _clock.Begin(core);
                    Run(core, _clock.Slice(_quantum));
                    _clock.End();
                }

                if (Machine.PendingStop is { } stop)
                    return stop.Exit;
                _turn = (_turn + 1) % vcpus.Count;
            }

            if (!worked && !_clock.SkipToNextDeadline())
                Idle(vcpus);
        }
    }

    public override void Wake(int vcpu) => WakeUp();

    public override void Dispose() => _wake.Dispose();

    /// <summary>Nothing inside the machine can wake it: waits for the host's input, a kick or a stop.</summary>
    private void Idle(IReadOnlyList<Vcpu> vcpus)
    {
        _waiting = true;
        // TIMING POINT 1: a waker sets its pin first and reads _waiting then; here _waiting is set first and the pins are read then. One of the two sees the other.
        Interlocked.MemoryBarrier();
        if (Machine.PendingStop is null && !_clock.HasDeadline && !vcpus.Any(v => v.Core.HasWork))
            _wake.WaitOne();
        _waiting = false;
    }

    private void WakeUp()
    {
        if (_waiting)
            _wake.Set();
    }
}
