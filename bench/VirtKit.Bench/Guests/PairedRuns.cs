using VirtKit.Bench.Reports;

namespace VirtKit.Bench.Guests;

/// <summary>The runs of one workload, QEMU and subject in turns.</summary>
/// <param name="Workload">The workload.</param>
/// <param name="Qemu">QEMU's runs.</param>
/// <param name="Subject">The subject's runs; the same number.</param>
/// <param name="Counted">QEMU's extra run that counted instructions, or <see langword="null"/>.</param>
internal sealed record PairedRuns(Workload Workload, IReadOnlyList<GuestReport> Qemu, IReadOnlyList<GuestReport> Subject, GuestReport? Counted)
{
    public double QemuSeconds => Statistics.Median(Qemu.Select(r => r.Seconds));

    public double SubjectSeconds => Statistics.Median(Subject.Select(r => r.Seconds));

    /// <summary>How fast the subject is: QEMU's time divided by its time, medians of both. Above 1 it is faster.</summary>
    public double Ratio => QemuSeconds / SubjectSeconds;

    /// <summary>The ratios of the single pairs, as a measure of how calm the machine was.</summary>
    public IEnumerable<double> PairRatios => Qemu.Zip(Subject, (q, s) => q.Seconds / s.Seconds);

    /// <summary>Instructions of a run, as the subject reported them or as QEMU counted them, or <see langword="null"/> where neither did.</summary>
    public ulong? Instructions => Subject[0].Retired ?? Counted?.Instret;

    /// <summary>What is wrong with the results, or <see langword="null"/>.</summary>
    public string? Difference()
    {
        string[] results = [.. Qemu.Concat(Subject).Select(r => r.Result).Distinct()];
        if (results.Length > 1)
            return $"{Workload.Name}: results differ: {string.Join(" | ", results)}";
        if (Counted is not null && Subject[0].Retired is not null && Subject[0].Instret != Counted.Instret)
            return $"{Workload.Name}: instret differs: {Subject[0].Instret}, QEMU {Counted.Instret}";
        return null;
    }
}
