using System.Globalization;

namespace VirtKit.Samples;

/// <summary>The times by the names that the option <c>--time</c> takes.</summary>
internal static class GuestTime
{
    public const string Host = "host", Virtual = "virtual";

    public static VcpuScheduling Scheduling(string name) => name == Virtual ? VcpuScheduling.Deterministic : VcpuScheduling.Threads;

    /// <summary>What a figure means that the guest measured itself: one line for the end of a run.</summary>
    /// <param name="name">The time that the guest saw.</param>
    /// <param name="machine">The machine, stopped.</param>
    /// <param name="seconds">How long the run took on the host.</param>
    public static string Describe(string name, Machine machine, double seconds)
    {
        double guest = machine.Clock.Now / 1e9;
        return name == Host
            ? string.Create(CultureInfo.InvariantCulture, $"time={Host} guest-seconds={guest:0.00}: what the guest timed itself is real")
            : string.Create(CultureInfo.InvariantCulture,
                $"time={Virtual} guest-seconds={guest:0.00}: what the guest timed itself counts instructions (the host took {seconds:0.00} s); --time {Host} measures real time");
    }
}
