using System.Runtime.InteropServices;
using VirtKit.Bench.Runs;

namespace VirtKit.Bench.Reports;

/// <summary>What a reader needs to know about the machine and the versions behind a table.</summary>
internal static class HostDescription
{
    public static async Task<string> Describe(Qemu qemu, CancellationToken cancellation) =>
        $"""
        - Date: {DateTime.UtcNow:yyyy-MM-dd}
        - Host: {Processor()}, {Environment.ProcessorCount} logical processors, {RuntimeInformation.OSDescription}
        - Runtime: {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.ProcessArchitecture}
        - Reference: {await qemu.Version(cancellation)}
        - Commit: {await Commit(cancellation)}
        """;

    private static string Processor() =>
        OperatingSystem.IsLinux() && File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal)) is { } line
            ? line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim()
            : RuntimeInformation.OSArchitecture.ToString();

    private static async Task<string> Commit(CancellationToken cancellation)
    {
        try
        {
            var command = new Invocation("git", "-C", Repository.PathOf(), "describe", "--always", "--dirty");
            TimedRun run = await TimedRun.ToEnd(command, TimeSpan.FromSeconds(30), cancellation);
            return run.ExitCode == 0 ? run.Output.Trim() : "unknown";
        }
        catch (BenchException)
        {
            return "unknown";
        }
    }
}
