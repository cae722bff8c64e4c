using System.Diagnostics;
using System.Runtime.InteropServices;

namespace VirtKit.Tests.Support;

/// <summary>The processor time of the calling thread, which other load on the host does not lengthen: what bounds the work of one call.</summary>
internal static partial class ThreadTime
{
    private const int ThreadClock = 3;

    /// <summary>The time so far; elapsed time where the host is not Linux.</summary>
    public static TimeSpan Now => OperatingSystem.IsLinux() && GetTime(ThreadClock, out TimeSpec time) == 0
        ? TimeSpan.FromSeconds(time.Seconds) + TimeSpan.FromMicroseconds(time.Nanoseconds / 1000.0)
        : Stopwatch.GetElapsedTime(0);

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int GetTime(int clock, out TimeSpec time);

    /// <summary>C's <c>struct timespec</c> on 64-bit hosts.</summary>
    private readonly struct TimeSpec
    {
        public readonly long Seconds;
        public readonly long Nanoseconds;
    }
}
