using VirtKit.Bench.Reports;
using VirtKit.Bench.Runs;

namespace VirtKit.Bench.Guests;

/// <summary>The results page of the subcommand <c>guests</c>.</summary>
internal static class GuestsPage
{
    /// <summary>The page in Markdown.</summary>
    /// <param name="subject">What was measured against QEMU, for the title.</param>
    /// <param name="pairs">At least one workload.</param>
    /// <param name="qemu">The reference, asked for its version.</param>
    /// <param name="cancellation">Cancels the questions about versions.</param>
    public static async Task<string> Render(string subject, List<PairedRuns> pairs, Qemu qemu, CancellationToken cancellation)
    {
        var table = new MarkdownTable("workload", "instructions, M", "QEMU, s", "VirtKit, s", "QEMU, MIPS", "VirtKit, MIPS", "ratio", "pairs");
        foreach (PairedRuns pair in pairs)
        {
            table.Add(
                pair.Workload.Name, Millions(pair.Instructions, 1), $"{pair.QemuSeconds:F2}", $"{pair.SubjectSeconds:F2}",
                Millions(pair.Instructions, pair.QemuSeconds), Millions(pair.Instructions, pair.SubjectSeconds), $"{pair.Ratio:F2}",
                $"{pair.PairRatios.Min():F2}-{pair.PairRatios.Max():F2}");
        }

        table.Add("geometric mean", "", "", "", "", "", $"{Statistics.GeometricMean(pairs.Select(p => p.Ratio)):F2}", "");
        string equal = pairs.All(p => p.Difference() is null) ? "equal" : "NOT EQUAL";
        return $"""
            # Guests on {subject}

            {await HostDescription.Describe(qemu, cancellation)}
            - Runs: median of {pairs[0].Qemu.Count}, QEMU and VirtKit in turns; wall-clock time of whole processes
            - Results of the guests: {equal}

            {table}
            """;
    }

    private static string Millions(ulong? instructions, double seconds) => instructions is { } n ? $"{n / 1e6 / seconds:F0}" : "-";
}
