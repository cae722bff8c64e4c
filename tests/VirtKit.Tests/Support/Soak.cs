using System.Diagnostics;
using System.Globalization;

namespace VirtKit.Tests.Support;

/// <summary><c>VIRTKIT_SOAK_SECONDS</c>: how long a test that could go on for ever does so, instead of for its usual amount of work.</summary>
internal static class Soak
{
    /// <summary>The given time, or nothing.</summary>
    public static TimeSpan? Time { get; } =
        double.TryParse(Environment.GetEnvironmentVariable("VIRTKIT_SOAK_SECONDS"), CultureInfo.InvariantCulture, out double seconds) ? TimeSpan.FromSeconds(seconds) : null;

    /// <summary>Whether to go on: for the given time from now on, or else as a test says by what it has done.</summary>
    public static Func<ulong, bool> While(Func<ulong, bool> usual)
    {
        var time = Stopwatch.StartNew();
        return Time is { } limit ? _ => time.Elapsed < limit : usual;
    }
}
