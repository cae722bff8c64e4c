using VirtKit.Bench.Runs;

namespace VirtKit.Bench.Guests;

/// <summary>A guest program out of <c>bench/guests</c>, built.</summary>
internal sealed record Workload(string Name, string Elf)
{
    /// <summary>Builds all workloads.</summary>
    /// <param name="scale">The share of the full iteration count in percent, 1 or more.</param>
    /// <exception cref="BenchException">They do not build: the cross compiler or make is missing, or the sources are wrong.</exception>
    public static async Task<IReadOnlyList<Workload>> Build(int scale, CancellationToken cancellation)
    {
        string output = Repository.PathOf("artifacts", "guests", $"scale-{scale}");
        var command = new Invocation("make", "-C", Repository.PathOf("bench", "guests"), "--no-print-directory", "-j2", $"SCALE={scale}", $"OUT={output}");
        TimedRun build = await TimedRun.ToEnd(command, TimeSpan.FromMinutes(15), cancellation);
        if (build.ExitCode != 0)
            throw new BenchException($"The guests do not build (riscv64-linux-gnu-gcc and make are needed):\n{build.Error}");
        string sources = Repository.PathOf("bench", "guests", "workloads");
        return [.. Directory.EnumerateFiles(sources, "*.c")
            .Select(source => Path.GetFileNameWithoutExtension(source))
            .Order(StringComparer.Ordinal)
            .Select(name => new Workload(name, Path.Combine(output, $"{name}.elf")))];
    }
}
