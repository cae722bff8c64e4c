using System.Diagnostics;
using VirtKit.Engines;
using VirtKit.State;
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
    private readonly bool _sleepsWhenIdle;
    private readonly WakeSignal _wake = new();
    private volatile bool _waiting;
    private int _turn;
    private ulong _left;

    public DeterministicScheduler(Machine machine, MachineOptions options) : base(machine)
    {
        _clock = new VirtualClock(options.NanosecondsPerInstruction, options.CalendarStart ?? Epoch);
        _clock.TimerFailed += OnTimerFailed;
        _clock.PostFailed += OnPostFailed;
        _clock.Changed += WakeUp;
        _sleepsWhenIdle = options.IdleTime == IdleTime.RealTime;
        _left = _quantum = options.Quantum;
    }

    public override MachineClock Clock => _clock;

    public override VcpuExit Run(Vcpu? only, ulong budget)
    {
        _clock.Attach();
        var pace = new Pace(_clock.Now);
        while (true)
        {
            if (Machine.TakeExit(only) is { } exit)
                return exit;
            if (_clock.Drain() && Machine.TakeExit(only) is { } posted)
                return posted;
            if (Machine.CheckReplay() is { } ended)
                return ended;
            Machine.AttachNext();
            Vcpu? vcpu = only ?? Next();
            bool works = vcpu is not null && vcpu.Core.HasWork;
            if (!works && Halted(only) is { } halted)
                return halted;
            if (budget == 0)
                return new VcpuExit(ExitReason.BudgetExhausted);
            if (works)
                budget -= Math.Min(budget, only is null ? RunTurn(vcpu!, budget) : RunSlice(vcpu!, budget, out _));
            else
                Idle(pace);
        }
    }

    public override void Reset()
    {
        _turn = 0;
        _left = _quantum;
    }

    public override void Drain() => _clock.Drain();

    public override void VisitTime(StateVisitor visitor) => _clock.Visit(visitor);

    public override void VisitSchedule(StateVisitor visitor)
    {
        int turn = _turn;
        ulong left = _left;
        visitor.Field("turn", ref turn);
        visitor.Field("left", ref left);
        visitor.Require((uint)turn < (uint)Machine.Vcpus.Count, "turn", $"is {turn}");
        visitor.Require(left != 0, "left", "is 0");
        _clock.VisitTimers(visitor);
        if (visitor.IsReading)
            (_turn, _left) = (turn, left);
    }

    public override void Wake(int vcpu) => WakeUp();

    public override void Close(bool waits) => _clock.Close();

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
        ulong retired = RunSlice(vcpu, Math.Min(left, budget), out bool rests);
        if (retired == 0)
            return 0;
        bool ends = rests || retired >= left;
        _turn = ends ? (vcpu.Index + 1) % Machine.Vcpus.Count : vcpu.Index;
        _left = ends ? _quantum : left - retired;
        return retired;
    }

    /// <param name="vcpu">The vCPU.</param>
    /// <param name="most">The most instructions to retire.</param>
    /// <param name="rests">Whether it waited at the end of the slice, before the timers that are due there.</param>
    /// <returns>How many instructions retired.</returns>
    private ulong RunSlice(Vcpu vcpu, ulong most, out bool rests)
    {
        VcpuCore core = vcpu.Core;
        ulong before = core.Retired;
        _clock.Begin(core);
        RunCore(vcpu, _clock.Slice(most));
        rests = !core.HasWork;
        _clock.End();
        return core.Retired - before;
    }

    /// <summary>The exit where waiting is of no use.</summary>
    private VcpuExit? Halted(Vcpu? only)
    {
        if (only is null)
            return Machine.Halted();
        return _clock.NextDeadline == ulong.MaxValue || only.Core.CannotBeWoken is not null ? new VcpuExit(ExitReason.Halted) : null;
    }

    /// <summary>All vCPUs wait: moves to the next deadline, at once or at the host's pace; without one, waits for the host's input, a kick or a stop.</summary>
    private void Idle(in Pace pace)
    {
        ulong next = _clock.NextDeadline;
        int milliseconds = next == ulong.MaxValue ? Timeout.Infinite : _sleepsWhenIdle && !Machine.IsReplaying ? pace.MillisecondsUntil(next) : 0;
        if (milliseconds < 0 && _clock.Journal is InputReplay replay)
        {
            replay.FindIdle(_clock.Moment);
            return;
        }

        if (milliseconds == 0)
        {
            _clock.SkipToNextDeadline();
            return;
        }

        _waiting = true;
        // TIMING POINT 1: a waker sets its pin first and reads _waiting then; here _waiting is set first and the pins are read then. One of the two sees the other.
        Interlocked.MemoryBarrier();
        if (!Machine.MustStop && !_clock.HasPosts && _clock.NextDeadline == next && Next() is null)
            _wake.Wait(milliseconds);
        _waiting = false;
    }

    private void WakeUp()
    {
        if (_waiting)
            _wake.Set();
    }

    /// <summary>How virtual time compares with the host's since the start of a run.</summary>
    private readonly struct Pace(ulong now)
    {
        private readonly long _start = Stopwatch.GetTimestamp();

        /// <summary>How long the host sleeps until a time of the clock has come; 0 where it has.</summary>
        public int MillisecondsUntil(ulong time)
        {
            ulong wanted = (time - now) / 1_000_000, gone = (ulong)Stopwatch.GetElapsedTime(_start).TotalMilliseconds;
            return time <= now || gone >= wanted ? 0 : (int)Math.Min(wanted - gone, int.MaxValue);
        }
    }
}
