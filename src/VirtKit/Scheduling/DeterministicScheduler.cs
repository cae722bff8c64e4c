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
    private ulong _left;

    public DeterministicScheduler(Machine machine, MachineOptions options) : base(machine)
    {
        _clock = new VirtualClock(options.NanosecondsPerInstruction, options.CalendarStart ?? Epoch);
        _clock.TimerFailed += OnTimerFailed;
        _clock.DeadlineChanged += WakeUp;
        _left = _quantum = options.Quantum;
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
                // A deadline cuts the slice, not the turn: a vCPU that sets its timer in a handler gets on with its work however short the period is.
                while (_left > 0 && core.HasWork)
                {
                    worked = true;
                    ExitReason reason = RunSlice(core);
                    if (Machine.PendingStop is not null || reason != ExitReason.BudgetExhausted)
                        break;
                }

                if (Machine.PendingStop is { } stop)
                    return stop.Exit;
                _turn = (_turn + 1) % vcpus.Count;
                _left = _quantum;
            }

            if (!worked && !_clock.SkipToNextDeadline())
                Idle(vcpus);
        }
    }

    public override void Wake(int vcpu) => WakeUp();

    public override void Dispose() => _wake.Dispose();

    private ExitReason RunSlice(VcpuCore core)
    {
        ulong before = core.Retired;
        _clock.Begin(core);
        ExitReason reason = Run(core, _clock.Slice(_left));
        _clock.End();
        // An engine that cannot count uses up its turn slice by slice.
        _left -= Math.Clamp(core.Retired - before, 1, _left);
        return reason;
    }

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
