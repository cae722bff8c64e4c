namespace VirtKit.Tests.Devices.Support;

/// <summary>A clock that stands until a test moves it.</summary>
internal sealed class ManualClock : MachineClock
{
    public const ulong CalendarStart = 1_700_000_000_000_000_000;

    private readonly List<Timer> _timers = [];
    private ulong _now;

    public override ulong Now => _now;

    /// <summary>Where the clock begins, for tests of its end.</summary>
    public ulong Start
    {
        init => _now = value;
    }

    public override ulong CalendarNow => _now > ulong.MaxValue - CalendarStart ? ulong.MaxValue : CalendarStart + _now;

    /// <summary>The number of timers that are set.</summary>
    public int Pending => _timers.Count(t => t.Deadline != ulong.MaxValue);

    public override ClockTimer CreateTimer(object gate, Action expired)
    {
        var timer = new Timer(gate, expired);
        _timers.Add(timer);
        return timer;
    }

    /// <summary>No run is under way whose slices could be in the middle of something.</summary>
    public override void Post(object gate, Action action)
    {
        lock (gate)
            action();
    }

    /// <summary>Moves time and runs what becomes due, in order; a timer that keeps itself due is a failure.</summary>
    public void Advance(ulong nanoseconds)
    {
        ulong end = After(nanoseconds);
        for (int fired = 0; fired < 100_000; fired++)
        {
            Timer? next = _timers.Where(t => t.Deadline <= end && t.Deadline != ulong.MaxValue).MinBy(t => t.Deadline);
            if (next is null)
            {
                _now = end;
                return;
            }

            _now = Math.Max(_now, next.Deadline);
            next.Fire();
        }

        Assert.Fail("A timer never comes to rest.");
    }

    private sealed class Timer(object gate, Action expired) : ClockTimer
    {
        public ulong Deadline { get; private set; } = ulong.MaxValue;

        public override void Set(ulong deadline) => Deadline = deadline;

        public override void Cancel() => Deadline = ulong.MaxValue;

        public void Fire()
        {
            Deadline = ulong.MaxValue;
            lock (gate)
                expired();
        }
    }
}
