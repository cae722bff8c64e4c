using System.CommandLine;
using VirtKit.Bench.Guests;
using VirtKit.Bench.Reports;
using VirtKit.Bench.Runs;

namespace VirtKit.Bench;

/// <summary>The subcommand <c>guests</c>: every workload on QEMU and on VirtKit, in turns.</summary>
internal static class GuestsCommand
{
    // An interpreter at a hundredth of QEMU's speed still ends inside this; a hang does not stop the measurement for good.
    private static readonly TimeSpan RunLimit = TimeSpan.FromMinutes(5);

    public static Command Create()
    {
        var engine = new Option<string>("--engine") { Description = "The engine of VirtKit that runs the guests.", DefaultValueFactory = _ => "interpreter" };
        var runs = new Option<int>("--runs") { Description = "Pairs of runs per workload; the table has medians.", DefaultValueFactory = _ => 3 };
        var only = new Option<string[]>("--only") { Description = "Names of workloads; all without it.", AllowMultipleArgumentsPerToken = true };
        var scale = new Option<int>("--scale") { Description = "Share of the full iteration counts in percent.", DefaultValueFactory = _ => 100 };
        var count = new Option<bool>("--count") { Description = "One more QEMU run per workload that counts its instructions, to compare with ours." };
        var qemu = new Option<string>("--qemu") { Description = "QEMU's program.", DefaultValueFactory = _ => "qemu-system-riscv64" };
        var subject = new Option<string?>("--subject")
        {
            Description = "Measure this command instead of samples/RunElf, for example another build of it; the path of the ELF is added at its end.",
        };
        var output = new Option<string?>("--output") { Description = "The results file; bench/results/guests-ENGINE.md for a complete run at full scale." };
        runs.Validators.Add(r => AtLeastOne(r, runs));
        scale.Validators.Add(r => AtLeastOne(r, scale));

        var command = new Command("guests", "Runs the workloads of bench/guests on QEMU and on VirtKit in turns and writes a table.")
        {
            engine, runs, only, scale, count, qemu, subject, output,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            string engineName = parsed.GetValue(engine)!;
            IReadOnlyList<Workload> workloads = Select(await Workload.Build(parsed.GetValue(scale), cancellation), parsed.GetValue(only) ?? []);
            Invocation start = parsed.GetValue(subject) is { } text
                ? Invocation.Parse(text)
                : (await Sample.Publish("RunElf", cancellation)).With("--engine", engineName);
            var reference = new Qemu(parsed.GetValue(qemu)!);
            var table = new List<PairedRuns>();
            foreach (Workload workload in workloads)
            {
                PairedRuns pair = await Measure(workload, reference, start, parsed.GetValue(runs), parsed.GetValue(count), cancellation);
                await Console.Error.WriteLineAsync($"{workload.Name}: QEMU {pair.QemuSeconds:F2} s, subject {pair.SubjectSeconds:F2} s, ratio {pair.Ratio:F2}");
                table.Add(pair);
            }

            bool complete = parsed.GetValue(only) is not { Length: > 0 } && parsed.GetValue(subject) is null && parsed.GetValue(scale) == 100;
            string? file = parsed.GetValue(output) ?? (complete ? Repository.PathOf("bench", "results", $"guests-{engineName}.md") : null);
            string title = (parsed.GetValue(subject) is null ? $"the {engineName}" : "a command of the user's")
                + (parsed.GetValue(scale) == 100 ? "" : $", {parsed.GetValue(scale)} % of the iterations");
            await ResultsPage.Write(await GuestsPage.Render(title, table, reference, cancellation), file);

            string[] differences = [.. table.Select(p => p.Difference()).OfType<string>()];
            foreach (string difference in differences)
                await Console.Error.WriteLineAsync(difference);
            return differences.Length == 0 ? 0 : 1;
        });
        return command;
    }

    private static void AtLeastOne(System.CommandLine.Parsing.OptionResult result, Option<int> option)
    {
        if (result.GetValue(option) < 1)
            result.AddError($"{option.Name} has to be 1 or more.");
    }

    private static IReadOnlyList<Workload> Select(IReadOnlyList<Workload> all, string[] names)
    {
        string? unknown = names.FirstOrDefault(n => all.All(w => w.Name != n));
        return unknown is null
            ? [.. all.Where(w => names.Length == 0 || names.Contains(w.Name))]
            : throw new BenchException($"There is no workload {unknown}; there are {string.Join(", ", all.Select(w => w.Name))}.");
    }

    private static async Task<PairedRuns> Measure(
        Workload workload, Qemu qemu, Invocation subject, int runs, bool count, CancellationToken cancellation)
    {
        var ours = new List<GuestReport>();
        var theirs = new List<GuestReport>();
        for (int run = 0; run < runs; run++)
        {
            // Who goes first changes, so that a machine that slows down or speeds up favours nobody.
            if (run % 2 == 0)
                theirs.Add(await Run(qemu.Guest(workload.Elf)));
            ours.Add(await Run(subject.With(workload.Elf)));
            if (run % 2 != 0)
                theirs.Add(await Run(qemu.Guest(workload.Elf)));
        }

        return new PairedRuns(workload, theirs, ours, count ? await Run(qemu.CountingGuest(workload.Elf)) : null);

        async Task<GuestReport> Run(Invocation command) => GuestReport.Read(await TimedRun.ToEnd(command, RunLimit, cancellation), workload);
    }
}
