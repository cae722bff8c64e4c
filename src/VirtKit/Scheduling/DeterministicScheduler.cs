using VirtKit.Engines;
using VirtKit.Time;

namespace VirtKit.Scheduling;

/// <summary>All vCPUs in turns on one thread, in virtual time. A slice ends at the quantum or at the clock's next deadline, to the instruction.</summary>
/// <remarks>A stop is invisible to the guest. What the schedule remembers (whose turn it is, and how much is left of it) changes only with instructions that retire,
/// so that a slice which was cut short, or ended before its first instruction, leaves the vCPUs the turns that they would have had.</remarks>
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

    public override VcpuExit Run(Vcpu? only, ulong budget)
    {
        _clock.Attach();
        while (true)
        {
            if (Machine.TakeExit(only) is { } exit)
                return exit;
            Vcpu? vcpu = only ?? Next();
            bool works = vcpu is not null && vcpu.Core.HasWork;
            if (only is not null && !works && !_clock.HasDeadline)
                return new VcpuExit(ExitReason.Halted);
            if (budget == 0)
                return new VcpuExit(ExitReason.BudgetExhausted);
            if (works)
                budget -= Math.Min(budget, only is null ? RunTurn(vcpu!, budget) : RunSlice(vcpu!, budget, out _));
            else if (!_clock.SkipToNextDeadline())
                Idle();
        }
    }

    public override void Reset()
    {
        _turn = 0;
        _left = _quantum;
    }

    public override void Wake(int vcpu) => WakeUp();

    // The event stays for its finalizer: a device's thread that has seen _waiting may set it late.
    public override void Close(bool waits) { }

    /// <summary>The vCPU whose turn it is, or the next one that has work.</summary>
    private Vcpu? Next()
    {
        IReadOnlyList<Vcpu> vcpus = Machine.Vcpus;
        for (int i = 0; i < vcpus.Count; i++)
        {
            Vcpu vcpu = vcpus[(_turn + i) % vcpus.Count];
            if (vcpu.Core.HasWork)
                return vcpu;
        }

        return null;
    }

    /// <summary>Runs a vCPU for what is left of its turn, or until a deadline. A deadline cuts the slice, not the turn: a vCPU that sets its timer in a handler gets on with
    /// its work however short the period is.</summary>
    /// <returns>How many instructions retired.</returns>
    private ulong RunTurn(Vcpu vcpu, ulong budget)
    {
        ulong left = vcpu.Index == _turn ? _left : _quantum;
        ulong retired = RunSlice(vcpu, Math.Min(left, budget), out ExitReason reason);
        if (retired == 0)
            return 0;
        bool ends = reason == ExitReason.Halted || retired >= left;
        _turn = ends ? (vcpu.Index + 1) % Machine.Vcpus.Count : vcpu.Index;
        _left = ends ? _quantum : left - retired;
        return retired;
    }

    private ulong RunSlice(Vcpu vcpu, ulong most, out ExitReason reason)
    {
        VcpuCore core = vcpu.Core;
        ulong before = core.Retired;
        _clock.Begin(core);
        reason = RunCore(vcpu, _clock.Slice(most));
        _clock.End();
        return core.Retired - before;
    }

    /// <summary>Nothing inside the machine can wake it: waits for the host's input, a kick or a stop.</summary>
    private void Idle()
    {
        _waiting = true;
        // TIMING POINT 1: a waker sets its pin first and reads _waiting then; here _waiting is set first and the pins are read then. One of the two sees the other.
        Interlocked.MemoryBarrier();
        if (!Machine.MustStop && !_clock.HasDeadline && Next() is null)
            _wake.WaitOne();
        _waiting = false;
    }

    private void WakeUp()
    {
        if (_waiting)
            _wake.Set();
    }
}
