namespace VirtKit;

/// <summary>The time of one machine, in nanoseconds since its construction. Devices read it and set timers on it; whether it is virtual (counted in retired
/// instructions, so that a run repeats exactly) or the host's is the machine's option.</summary>
/// <remarks>Thread-safe.</remarks>
public abstract class MachineClock
{
    /// <summary>The current time in nanoseconds. Never goes back.</summary>
    public abstract ulong Now { get; }

    /// <summary>The calendar time in nanoseconds since 1970-01-01 UTC, for real-time clocks: the machine's configured start plus <see cref="Now"/>.</summary>
    public abstract ulong CalendarNow { get; }

    /// <summary>The time so many nanoseconds from now, or <see cref="ulong.MaxValue"/> (never, for a timer) where that is past the clock's end after 584 years. Devices compute
    /// deadlines with it: a guest chooses the distance, and a sum that wraps would be a deadline in the past, which expires at once and for ever.</summary>
    /// <param name="nanoseconds">The distance, any value.</param>
    public ulong After(ulong nanoseconds)
    {
        ulong now = Now;
        return nanoseconds > ulong.MaxValue - now ? ulong.MaxValue : now + nanoseconds;
    }

    /// <summary>Creates a timer that is not set.</summary>
    /// <param name="gate">Held around every call of <paramref name="expired"/>: the device whose state the callback touches.</param>
    /// <param name="expired">Called once for each expiry; on the clock's thread with host time, on the scheduler's with virtual time. Must not block or throw.</param>
    public abstract ClockTimer CreateTimer(object gate, Action expired);
}

/// <summary>A one-shot timer of a <see cref="MachineClock"/>. Thread-safe.</summary>
public abstract class ClockTimer : IDisposable
{
    /// <summary>Sets the deadline and replaces an earlier one. A deadline that has passed expires at once, but never inside this call.</summary>
    /// <param name="deadline">Nanoseconds on the clock; <see cref="ulong.MaxValue"/> never comes.</param>
    public abstract void Set(ulong deadline);

    /// <summary>Takes the deadline back. An expiry that has begun still runs to its end.</summary>
    public abstract void Cancel();

    /// <summary>Cancels the timer for good.</summary>
    public void Dispose()
    {
        Cancel();
        GC.SuppressFinalize(this);
    }
}
