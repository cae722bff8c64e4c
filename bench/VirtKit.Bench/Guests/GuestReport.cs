using System.Globalization;
using System.Text.RegularExpressions;
using VirtKit.Bench.Runs;

namespace VirtKit.Bench.Guests;

/// <summary>What one run of a workload said: on its console, and on the standard error of the program that ran it.</summary>
/// <param name="Seconds">Wall-clock time of the whole process.</param>
/// <param name="Result">The line with the checksum, which has to be the same everywhere.</param>
/// <param name="Instret">The guest's own count of instructions in the workload; exact where the engine counts.</param>
/// <param name="Retired">The instructions of the whole run that the program reported, or <see langword="null"/>.</param>
internal sealed partial record GuestReport(double Seconds, string Result, ulong Instret, ulong? Retired)
{
    /// <summary>Reads a run.</summary>
    /// <exception cref="BenchException">The workload failed: an exit code, no result, or the checksum 0 by which a workload reports a wrong answer.</exception>
    public static GuestReport Read(TimedRun run, Workload workload)
    {
        Match result = ResultLine().Match(run.Output), instret = InstretLine().Match(run.Output), retired = RetiredField().Match(run.Error);
        if (run.ExitCode != 0 || !result.Success || !instret.Success || result.Groups["checksum"].ValueSpan.Trim('0').IsEmpty)
            throw new BenchException($"{workload.Name} failed with exit code {run.ExitCode}:\n{run.Output}{run.Error}");
        return new GuestReport(run.Seconds, result.Value.Trim(), Number(instret), retired.Success ? Number(retired) : null);
    }

    private static ulong Number(Match match) => ulong.Parse(match.Groups["n"].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^\w+ iterations=\d+ checksum=(?<checksum>[0-9a-f]{16})\s*$", RegexOptions.Multiline)]
    private static partial Regex ResultLine();

    [GeneratedRegex(@"^instret=(?<n>\d{1,19})\s*$", RegexOptions.Multiline)]
    private static partial Regex InstretLine();

    [GeneratedRegex(@"\bretired=(?<n>\d{1,19})\b")]
    private static partial Regex RetiredField();
}
