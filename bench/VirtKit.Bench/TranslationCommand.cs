using System.CommandLine;
using System.Globalization;
using VirtKit.Bench.Guests;
using VirtKit.Bench.Reports;
using VirtKit.Bench.Runs;

namespace VirtKit.Bench;

/// <summary>The subcommand <c>translation</c>: what the translator's time and memory go to on code that is met for the first time, beside the interpreter.</summary>
internal static class TranslationCommand
{
    private const double Mebibyte = 1 << 20;

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    public static Command Create()
    {
        var runs = new Option<int>("--runs") { Description = "Pairs of runs, interpreter and translator in turns; the table has medians.", DefaultValueFactory = _ => 5 };
        var workload = new Option<string>("--workload") { Description = "The guest.", DefaultValueFactory = _ => "flat" };
        var elf = new Option<string?>("--elf") { Description = "A guest that is built already, instead." };
        var output = new Option<string?>("--output") { Description = "A results file beside the console." };
        var command = new Command("translation", "Measures time and memory of translating, by the meter VirtKit and the peak of resident memory.") { runs, workload, elf, output };
        command.SetAction(async (parsed, cancellation) =>
        {
            string file = parsed.GetValue(elf) ?? (await Workload.Build(100, cancellation)).FirstOrDefault(w => w.Name == parsed.GetValue(workload))?.Elf
                ?? throw new BenchException($"There is no workload {parsed.GetValue(workload)}.");
            Invocation sample = await Sample.Publish("RunElf", cancellation);
            List<Dictionary<string, double>> interpreter = [], translator = [];
            for (int run = 0; run < Math.Max(1, parsed.GetValue(runs)); run++)
            {
                interpreter.Add(await Measure(sample.With("--engine", "interpreter", "--metrics", file), cancellation));
                translator.Add(await Measure(sample.With("--engine", "translator", "--metrics", file), cancellation));
            }

            string text = $"# Translating {Path.GetFileNameWithoutExtension(file)}\n\n- Date: {DateTime.UtcNow:yyyy-MM-dd}\n- Runs: median of {interpreter.Count} pairs, in turns\n\n"
                + Render(interpreter, translator);
            await ResultsPage.Write(text, parsed.GetValue(output));
        });
        return command;
    }

    private static MarkdownTable Render(List<Dictionary<string, double>> interpreter, List<Dictionary<string, double>> translator)
    {
        const string Memory = "process.memory.peak";
        double Translated(string name) => Statistics.Median(translator.Select(run => run["virtkit.translator." + name]));
        double[] costs = [.. translator.Select(run => run["virtkit.translator.time"] / run["virtkit.translator.instructions"] * 1e6)];
        double least = Statistics.Median(interpreter.Select(run => run[Memory])), peak = Statistics.Median(translator.Select(run => run[Memory]));
        var table = new MarkdownTable("measured", "value");
        table.Add("guest instructions translated", Text($"{Translated("instructions"):F0}"));
        table.Add("guest instructions in a block", Text($"{Translated("instructions") / Translated("blocks"):F1}"));
        table.Add("host bytes for a guest instruction", Text($"{Translated("code") / Translated("instructions"):F1}"));
        table.Add("translating a guest instruction, µs", Text($"{Statistics.Median(costs):F2} ({costs.Min():F2}-{costs.Max():F2})"));
        table.Add("peak of resident memory, interpreter, MiB", Text($"{least / Mebibyte:F1}"));
        table.Add("peak of resident memory, translator, MiB", Text($"{peak / Mebibyte:F1}"));
        table.Add("extra memory, MiB", Text($"{(peak - least) / Mebibyte:F1}"));
        table.Add("code, MiB; resident twice, through either view", Text($"{Translated("code") / Mebibyte:F1}"));
        table.Add("extra memory with the code counted once, MiB", Text($"{(peak - least - Translated("code")) / Mebibyte:F1}"));
        table.Add("records of sites, exits and places, MiB", Text($"{Translated("records") / Mebibyte:F1}"));
        table.Add("pages of guest code, MiB", Text($"{Translated("pages") / Mebibyte:F1}"));
        return table;
    }

    private static async Task<Dictionary<string, double>> Measure(Invocation command, CancellationToken cancellation)
    {
        TimedRun run = await TimedRun.ToEnd(command, Limit, cancellation);
        if (run.ExitCode != 0)
            throw new BenchException($"{command} failed with exit code {run.ExitCode}:\n{run.Output}{run.Error}");
        var values = new Dictionary<string, double>();
        foreach (string line in run.Error.Split('\n', StringSplitOptions.TrimEntries))
        {
            // A line for each instrument, its name and its value.
            string[] parts = line.Split('=');
            if (parts.Length == 2 && double.TryParse(parts[1], CultureInfo.InvariantCulture, out double value))
                values[parts[0]] = value;
        }

        return values;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
