using System.Diagnostics;

namespace VirtKit.Telemetry;

/// <summary>The activity <c>virtkit.run</c> of the source <c>VirtKit</c>: one run of a machine, for a host that traces. Without a listener it costs nothing.</summary>
internal static class RunActivity
{
    private static readonly ActivitySource Source = new("VirtKit");

    /// <summary>Begins a run, with the tags <c>machine</c>, <c>architecture</c>, <c>engine</c> and <c>vcpus</c>.</summary>
    /// <returns>What its end is told to; <see langword="null"/> where nobody listens.</returns>
    public static Activity? Start(Machine machine)
    {
        Activity? activity = Source.StartActivity("virtkit.run");
        return activity?.SetTag("machine", machine.Name).SetTag("architecture", machine.Architecture.Name).SetTag("engine", machine.Engine.Name)
            .SetTag("vcpus", machine.Vcpus.Count);
    }

    /// <summary>Notes why the machine stopped, as the tags <c>exit.reason</c> and <c>exit.code</c>; what the guest cannot go on from is an error.</summary>
    public static void End(this Activity? activity, VcpuExit exit)
    {
        if (activity is null)
            return;
        activity.SetTag("exit.reason", exit.Reason.ToString()).SetTag("exit.code", (long)exit.Code);
        if (exit.Reason is ExitReason.InternalError or ExitReason.Unsupported)
            activity.SetStatus(ActivityStatusCode.Error, exit.Detail);
    }
}
