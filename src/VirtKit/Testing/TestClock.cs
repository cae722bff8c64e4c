namespace VirtKit.Testing;

/// <summary>A clock that stands until a test moves it. Used by one thread.</summary>
public sealed class TestClock : MachineClock
{
    /// <summary>The calendar time at 0: 2023-11-14 22:13:20 UTC, in nanoseconds since 1970.</summary>
    public const ulong CalendarStart = 1_700_000_000_000_000_000;

    private const int MostExpiries = 100_000;

    private readonly List<Timer> _timers = [];
    private ulong _now;

    /// <inheritdoc/>
    public override ulong Now => _now;

    /// <summary>Where the clock begins, in nanoseconds; 0.</summary>
    public ulong Start
    {
        init => _now = value;
    }

    /// <inheritdoc/>
    public override ulong CalendarNow => Add(CalendarStart, _now);

    /// <summary>The number of timers that are set.</summary>
    public int Pending => _timers.Count(timer => timer.Deadline != ulong.MaxValue);

    /// <inheritdoc/>
    public override ClockTimer CreateTimer(object gate, Action expired)
    {
        ArgumentNullException.ThrowIfNull(gate);
        ArgumentNullException.ThrowIfNull(expired);
        var timer = new Timer(gate, expired);
        _timers.Add(timer);
        return timer;
    }

    /// <summary>Runs the action at once: no vCPU is in the middle of something.</summary>
    /// <inheritdoc/>
    public override void Post(object gate, Action action)
    {
        ArgumentNullException.ThrowIfNull(gate);
        ArgumentNullException.ThrowIfNull(action);
        lock (gate)
            action();
    }

    /// <summary>Moves the time, and runs what becomes due meanwhile, each at its own time, in order.</summary>
    /// <param name="nanoseconds">How far, to the clock's end at most.</param>
    /// <exception cref="DeviceTestException">A timer sets itself to the present again and again.</exception>
    public void Advance(ulong nanoseconds)
    {
        ulong end = After(nanoseconds);
        for (int expiries = 0; expiries < MostExpiries; expiries++)
        {
            Timer? next = _timers.Where(timer => timer.Deadline <= end && timer.Deadline != ulong.MaxValue).MinBy(timer => timer.Deadline);
            if (next is null)
            {
                _now = end;
                return;
            }

            _now = Math.Max(_now, next.Deadline);
            next.Expire();
        }

        throw new DeviceTestException($"A timer does not come to rest: {MostExpiries} expiries until {_now} ns.");
    }

    private sealed class Timer(object gate, Action expired) : ClockTimer
    {
        public ulong Deadline { get; private set; } = ulong.MaxValue;

        public override void Set(ulong deadline) => Deadline = deadline;

        public override void Cancel() => Deadline = ulong.MaxValue;

        public void Expire()
        {
            Deadline = ulong.MaxValue;
            lock (gate)
                expired();
        }
    }
}
