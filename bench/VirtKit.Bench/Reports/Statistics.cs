namespace VirtKit.Bench.Reports;

/// <summary>The two averages that the tables use.</summary>
internal static class Statistics
{
    /// <summary>The middle value, or the mean of the two in the middle. At least one value.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>The geometric mean of positive values; the right one for ratios.</summary>
    public static double GeometricMean(IEnumerable<double> values) => Math.Exp(values.Average(Math.Log));
}
