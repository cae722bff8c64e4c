using VirtKit.State;

namespace VirtKit.Devices.Pc;

/// <summary>The timer of a local APIC (SDM 3A §10.5.4). Its owner serialises all calls.</summary>
internal sealed class ApicTimer : ISnapshotable, IDisposable
{
    private const ulong ShortestPeriod = 100_000;

    private readonly MachineClock _clock;
    private readonly ClockTimer _timer;
    private State _state;

    /// <summary>Creates a timer that is not armed.</summary>
    /// <param name="clock">The machine's time.</param>
    /// <param name="due">Called when it may have come due, from the clock's thread: <see cref="TryExpire"/> says whether it has.</param>
    public ApicTimer(MachineClock clock, Action due)
    {
        _clock = clock;
        _timer = clock.CreateTimer(new object(), due);
        _state = State.AtReset();
    }

    /// <summary>How it counts. It goes on when it changes between counting once and again and again, and is disarmed when it changes from or to a deadline.</summary>
    public ApicTimerMode Mode
    {
        get => _state.Mode;
        set
        {
            if (value != _state.Mode && (value == ApicTimerMode.Deadline || _state.Mode == ApicTimerMode.Deadline))
                Disarm();
            _state.Mode = value;
        }
    }

    /// <summary>The count that it starts from.</summary>
    public uint InitialCount => _state.InitialCount;

    /// <summary>The time-stamp counter's value that it waits for; 0 for none.</summary>
    public ulong Deadline => _state.Deadline;

    /// <summary>What is left of the count.</summary>
    public uint Count
    {
        get
        {
            ulong length = Length;
            if (_state.Due == ulong.MaxValue || length == 0)
                return 0;
            ulong elapsed = _clock.Now - _state.Started;
            return elapsed >= length && Mode != ApicTimerMode.Periodic ? 0 : (uint)((length - elapsed % length + Divisor - 1) / Divisor);
        }
    }

    /// <summary>The divide configuration register: bits 3, 1 and 0. A count under way goes on from where it is.</summary>
    public uint Divide
    {
        get => _state.Divide;
        set
        {
            uint count = Count;
            _state.Divide = value & 0xb;
            if (count != 0)
                Resume(_state.InitialCount, count);
        }
    }

    /// <summary>Nanoseconds for each count.</summary>
    private ulong Divisor => 1ul << ((int)(_state.Divide & 3 | _state.Divide >> 1 & 4) + 1 & 7);

    private ulong Length => _state.InitialCount * Divisor;

    /// <summary>Starts to count, or stops with 0. Ignored while it waits for deadlines.</summary>
    public void Start(uint count)
    {
        if (Mode != ApicTimerMode.Deadline)
            Resume(count, count);
    }

    /// <summary>Counts as if it had been started earlier.</summary>
    /// <param name="initial">What it was started with.</param>
    /// <param name="left">What is left of it, at most <paramref name="initial"/>; 0 for a count that has ended, which a periodic one begins again.</param>
    public void Resume(uint initial, uint left)
    {
        Disarm();
        _state.InitialCount = initial;
        if (initial == 0 || (left == 0 && Mode != ApicTimerMode.Periodic))
            return;
        ulong now = _clock.Now;
        // Wraps where the machine is younger than the count; only differences are taken.
        _state.Started = unchecked(now - (initial - Math.Min(left, initial)) * Divisor);
        Arm(_clock.After(Math.Min(left, initial) * Divisor));
    }

    /// <summary>Waits until the time-stamp counter reaches a value; 0 waits for nothing. Ignored while it counts.</summary>
    public void Await(ulong deadline, ulong delay)
    {
        if (Mode != ApicTimerMode.Deadline)
            return;
        Disarm();
        _state.Deadline = deadline;
        if (deadline != 0)
            Arm(_clock.After(delay));
    }

    /// <returns>Whether it has come due; it may have been started anew since the clock called.</returns>
    public bool TryExpire()
    {
        ulong now = _clock.Now;
        if (now < _state.Due || _state.Due == ulong.MaxValue)
            return false;
        if (Mode == ApicTimerMode.Periodic)
        {
            ulong elapsed = now - _state.Started;
            Arm(_clock.After(Math.Max(Length - elapsed % Length, ShortestPeriod)));
        }
        else
        {
            (_state.Due, _state.Deadline) = (ulong.MaxValue, 0);
        }

        return true;
    }

    public void Reset()
    {
        _state = State.AtReset();
        _timer.Cancel();
    }

    public void Visit(StateVisitor visitor)
    {
        State state = _state;
        visitor.Enumeration("mode", ref state.Mode);
        visitor.Field("initial count", ref state.InitialCount);
        visitor.Field("divide", ref state.Divide);
        visitor.Field("deadline", ref state.Deadline);
        visitor.Field("started", ref state.Started);
        visitor.Field("due", ref state.Due);
        visitor.Require((state.Divide & ~0xbu) == 0, "divide", "has bits that are not kept");
        // A count of nothing has no period.
        visitor.Require(state.Due == ulong.MaxValue || state.InitialCount != 0 || state.Mode == ApicTimerMode.Deadline, "initial count", "is 0 in a timer that counts");
        if (!visitor.IsReading)
            return;
        _state = state;
        _timer.Set(state.Due);
    }

    public void Dispose() => _timer.Dispose();

    private void Arm(ulong due)
    {
        _state.Due = due;
        _timer.Set(due);
    }

    private void Disarm()
    {
        (_state.Due, _state.Deadline, _state.InitialCount) = (ulong.MaxValue, 0, 0);
        _timer.Cancel();
    }

    private struct State
    {
        public ApicTimerMode Mode;
        public uint InitialCount, Divide;
        public ulong Deadline;

        /// <summary>When the count began, and when it ends or the deadline is; in nanoseconds. <see cref="ulong.MaxValue"/> for never.</summary>
        public ulong Started, Due;

        public static State AtReset() => new() { Due = ulong.MaxValue };
    }
}

/// <summary>The modes of the timer, with their encoding in bits 18:17 of its LVT register.</summary>
internal enum ApicTimerMode : byte
{
    OneShot = 0,
    Periodic = 1,
    Deadline = 2,

    /// <summary>Does not expire.</summary>
    Reserved = 3,
}
