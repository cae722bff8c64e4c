using System.CommandLine;
using System.Globalization;
using VirtKit.Bench.Kvm;
using VirtKit.Bench.Reports;
using VirtKit.Bench.Runs;

namespace VirtKit.Bench;

/// <summary>The subcommand <c>kvm</c>: what an exit, a machine and ring-3 code cost through VirtKit, and through the same ioctls in C or on bare Linux, in turns.</summary>
internal static class KvmCommand
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    public static Command Create()
    {
        var exits = new Option<int>("--exits") { Description = "Exits in one run.", DefaultValueFactory = _ => 20_000 };
        var machines = new Option<int>("--machines") { Description = "Machines created in one run.", DefaultValueFactory = _ => 50 };
        var runs = new Option<int>("--runs") { Description = "Pairs of runs; the table has medians.", DefaultValueFactory = _ => 5 };
        var output = new Option<string?>("--output") { Description = "A results file beside the console." };
        var command = new Command("kvm", "Compares the KVM engine with the same loops in C through the same ioctls.") { exits, machines, runs, output };
        command.SetAction(async (parsed, cancellation) =>
        {
            int exitCount = parsed.GetValue(exits), machineCount = parsed.GetValue(machines), pairs = Math.Max(1, parsed.GetValue(runs));
            DirectoryInfo folder = Directory.CreateTempSubdirectory("virtkit-kvm");
            try
            {
                string reference = await Build("exits.c", folder, cancellation), compute = await Build("compute.c", folder, cancellation, "-static", "-nostdlib", "-fno-tree-loop-distribute-patterns");
                byte[] program = await File.ReadAllBytesAsync(compute, cancellation);
                var table = new MarkdownTable("measured", "reference, µs", "VirtKit, µs", "ratio");
                await Add("port write, round trip", () => Reference(reference, "port", exitCount, cancellation), () => ExitLoops.Port(exitCount));
                await Add("MMIO read, round trip", () => Reference(reference, "mmio", exitCount, cancellation), () => ExitLoops.Mmio(exitCount));
                await Add("port write, posted beside not", () => Task.FromResult(ExitLoops.PortFlood(exitCount, posted: false)), () => ExitLoops.PortFlood(exitCount, posted: true));
                await Add("index write and data read, index posted beside not", () => Task.FromResult(ExitLoops.IndexAndData(exitCount, posted: false)), () => ExitLoops.IndexAndData(exitCount, posted: true));
                await Add("machine, created to first instruction and gone", () => Reference(reference, "create", machineCount, cancellation), () => ExitLoops.Create(machineCount));
                await Add("ring-3 compute, beside native", () => Native(compute, cancellation), () => UserCompute.Run(program));
                await ResultsPage.Write($"# KVM engine\n\n- Date: {DateTime.UtcNow:yyyy-MM-dd}\n- Runs: median of {pairs}, in turns\n\n{table}", parsed.GetValue(output));

                async Task Add(string name, Func<Task<double>> theirs, Func<double> ours)
                {
                    var first = new List<double>();
                    var second = new List<double>();
                    // The JIT's last tier comes after some calls and a moment.
                    for (int i = 0; i < 4; i++)
                    {
                        ours();
                        await Task.Delay(100, cancellation);
                    }

                    for (int run = 0; run < pairs; run++)
                    {
                        if (run % 2 == 0)
                            first.Add(await theirs());
                        second.Add(ours());
                        if (run % 2 != 0)
                            first.Add(await theirs());
                    }

                    double reference = Statistics.Median(first) / 1000, virtKit = Statistics.Median(second) / 1000;
                    table.Add(name, $"{reference:F2}", $"{virtKit:F2}", $"{virtKit / reference:F2}");
                }
            }
            finally
            {
                folder.Delete(recursive: true);
            }

            return 0;
        });
        return command;
    }

    private static async Task<string> Build(string source, DirectoryInfo folder, CancellationToken cancellation, params string[] options)
    {
        string binary = Path.Combine(folder.FullName, Path.GetFileNameWithoutExtension(source));
        TimedRun build = await TimedRun.ToEnd(
            new Invocation("gcc", ["-O2", "-fno-stack-protector", .. options, "-o", binary, Repository.PathOf("bench", "kvm", source)]), Limit, cancellation);
        return build.ExitCode == 0 ? binary : throw new BenchException($"{source} does not build: {build.Error}");
    }

    /// <returns>Nanoseconds for each.</returns>
    private static async Task<double> Reference(string program, string mode, int count, CancellationToken cancellation)
    {
        TimedRun run = await TimedRun.ToEnd(new Invocation(program, mode, count.ToString(CultureInfo.InvariantCulture)), Limit, cancellation);
        return run.ExitCode == 0 ? double.Parse(run.Output, CultureInfo.InvariantCulture) : throw new BenchException($"The reference failed: {run.Error}");
    }

    private static async Task<double> Native(string program, CancellationToken cancellation)
    {
        TimedRun run = await TimedRun.ToEnd(new Invocation(program), Limit, cancellation);
        return run.ExitCode == UserCompute.ExpectedCode ? run.Seconds * 1e9 : throw new BenchException($"The program ended with {run.ExitCode} on Linux.");
    }
}
