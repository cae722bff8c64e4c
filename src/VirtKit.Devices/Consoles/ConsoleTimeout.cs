using System.Runtime.CompilerServices;

namespace VirtKit.Devices.Consoles;

/// <summary>The time that a caller gives a console: 0 or more, or <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
internal static class ConsoleTimeout
{
    /// <summary>Refuses a time below 0 that is not <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public static void ThrowIfInvalid(TimeSpan timeout, [CallerArgumentExpression(nameof(timeout))] string? name = null)
    {
        if (timeout < TimeSpan.Zero && timeout != Timeout.InfiniteTimeSpan)
            throw new ArgumentOutOfRangeException(name, timeout, "A time is 0 or more, or Timeout.InfiniteTimeSpan.");
    }

    /// <summary>When the time is over, on <see cref="Environment.TickCount64"/>'s scale.</summary>
    public static long Deadline(TimeSpan timeout) =>
        timeout == Timeout.InfiniteTimeSpan || timeout.TotalMilliseconds >= long.MaxValue / 2 ? long.MaxValue : Environment.TickCount64 + (long)Math.Ceiling(timeout.TotalMilliseconds);

    /// <summary>How many milliseconds to wait at once: 0 when the deadline has passed.</summary>
    public static int Left(long deadline) => (int)Math.Clamp(deadline - Environment.TickCount64, 0, int.MaxValue);
}
