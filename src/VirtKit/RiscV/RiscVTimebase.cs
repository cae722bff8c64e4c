using VirtKit.State;

namespace VirtKit.RiscV;

/// <summary>The time of a machine's harts in ticks: <c>mtime</c> of the board's timer device, of which the CSR <c>time</c> is a shadow and with which <c>stimecmp</c> and the SBI's
/// timer are compared (RV-Priv §3.2.1, §12.1). Device and harts share one, and neither knows the other.</summary>
/// <remarks>It counts with the machine's clock, moved by what was written to it. Thread-safe.</remarks>
public sealed class RiscVTimebase : ISnapshotable
{
    private const ulong NanosecondsPerSecond = 1_000_000_000;

    private readonly MachineClock _clock;

    /// <summary>The length of a tick where it is a whole number, which spares the 128-bit arithmetic; otherwise 0.</summary>
    private readonly ulong _nanosecondsPerTick;

    /// <summary>What was written ahead of the clock, in ticks modulo 2^64.</summary>
    private ulong _offset;

    /// <summary>Creates a timebase that starts at 0 with the clock.</summary>
    /// <param name="clock">The machine's time.</param>
    /// <param name="frequency">Ticks a second, 1 to 1,000,000,000.</param>
    public RiscVTimebase(MachineClock clock, uint frequency)
    {
        ArgumentNullException.ThrowIfNull(clock);
        ArgumentOutOfRangeException.ThrowIfZero(frequency);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(frequency, (uint)NanosecondsPerSecond);
        _clock = clock;
        Frequency = frequency;
        _nanosecondsPerTick = NanosecondsPerSecond % frequency == 0 ? NanosecondsPerSecond / frequency : 0;
    }

    /// <summary>Raised after <see cref="Now"/> was set, on the thread that set it: comparisons with it have to be made anew.</summary>
    public event Action? Changed;

    /// <summary>Ticks a second.</summary>
    public uint Frequency { get; }

    /// <summary>The current count. Setting it moves the count from there on; it wraps at 2^64.</summary>
    public ulong Now
    {
        get => unchecked(ClockTicks + Volatile.Read(ref _offset));
        set
        {
            Volatile.Write(ref _offset, unchecked(value - ClockTicks));
            Changed?.Invoke();
        }
    }

    private ulong ClockTicks => _nanosecondsPerTick != 0 ? _clock.Now / _nanosecondsPerTick : (ulong)((UInt128)_clock.Now * Frequency / NanosecondsPerSecond);

    /// <summary>What was written to the time; the clock has its own state.</summary>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        ulong offset = Volatile.Read(ref _offset);
        visitor.Version(1);
        visitor.Field("offset", ref offset);
        if (!visitor.IsReading)
            return;
        Volatile.Write(ref _offset, offset);
        Changed?.Invoke();
    }

    /// <summary>Compares the count with a compare register, and says when that changes next. Both are of one moment: time that went by between them would be a change that nobody
    /// waits for.</summary>
    /// <param name="compare">The compare register.</param>
    /// <param name="nextChange">When it changes, if nobody sets the count: at the compare value, or once that is reached, where the count wraps to 0. Nanoseconds on the machine's
    /// clock, <see cref="ulong.MaxValue"/> for never.</param>
    /// <returns>Whether <c>Now >= compare</c>.</returns>
    public bool IsReached(ulong compare, out ulong nextChange)
    {
        ulong ticks = ClockTicks, now = unchecked(ticks + Volatile.Read(ref _offset));
        bool isReached = now >= compare;
        nextChange = isReached && compare == 0 ? ulong.MaxValue : TimeOf(ticks + (isReached ? (UInt128.One << 64) - now : compare - now));
        return isReached;
    }

    /// <summary>When the clock comes to a number of ticks.</summary>
    private ulong TimeOf(UInt128 ticks)
    {
        if (_nanosecondsPerTick != 0)
            return ticks <= ulong.MaxValue / _nanosecondsPerTick ? (ulong)ticks * _nanosecondsPerTick : ulong.MaxValue;
        return (ulong)UInt128.Min((ticks * NanosecondsPerSecond + (Frequency - 1)) / Frequency, ulong.MaxValue);
    }
}
