using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime;
using VirtKit.Accel.Translator;
using VirtKit.Bench.Reports;
using VirtKit.Bench.Runs;
using VirtKit.Devices.Boards;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Bench;

/// <summary>The subcommand <c>start</c>: what a run costs before the guest's first instruction, and one more machine in a process that has some.</summary>
internal static class StartCommand
{
    private const int Machines = 300;

    private static readonly string[] Engines = ["interpreter", "translator"];
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    public static Command Create()
    {
        var runs = new Option<int>("--runs") { Description = "Runs of each; the tables have medians.", DefaultValueFactory = _ => 9 };
        var subject = new Option<string?>("--subject") { Description = "Another build of samples/RunElf, measured in turns with this one: the command that starts it." };
        var inside = new Option<string?>("--inside") { Description = "What a run of this command does for one engine, in a process of its own.", Hidden = true };
        var command = new Command("start", "Measures the start of a process until a board stands, of a whole short run, and of further machines.") { runs, subject, inside };
        command.SetAction(async (parsed, cancellation) =>
        {
            if (parsed.GetValue(inside) is { } engine)
            {
                Inside(engine);
                return;
            }

            int count = Math.Max(1, parsed.GetValue(runs));
            await Console.Out.WriteLineAsync(await Processes(count, parsed.GetValue(subject), cancellation));
            await Console.Out.WriteLineAsync(await Boards(count, cancellation));
        });
        return command;
    }

    /// <summary>Whole processes: a guest that ends at once.</summary>
    private static async Task<string> Processes(int runs, string? subject, CancellationToken cancellation)
    {
        string guest = Repository.PathOf("samples", "guests", "finish-pass.elf");
        var builds = new List<(string Name, Invocation Command)>
        {
            ("plain", new Invocation("dotnet", Repository.PathOf("samples", "RunElf", "bin", "Release", "net10.0", "RunElf.dll"))),
            ("precompiled", await Sample.Publish("RunElf", cancellation)),
        };
        if (subject is not null)
            builds.Add(("the other build", Invocation.Parse(subject)));
        var table = new MarkdownTable(["a whole run, s", .. Engines]);
        var seconds = new Dictionary<(string, string), List<double>>();
        for (int run = 0; run < runs; run++)
        {
            foreach ((string name, Invocation command) in builds)
            {
                foreach (string engine in Engines)
                {
                    TimedRun result = await TimedRun.ToEnd(command.With("--engine", engine, guest), Limit, cancellation);
                    if (result.ExitCode != 0)
                        throw new BenchException($"{command} failed:\n{result.Output}{result.Error}");
                    if (!seconds.TryGetValue((name, engine), out List<double>? list))
                        seconds.Add((name, engine), list = []);
                    list.Add(result.Seconds);
                }
            }
        }

        foreach ((string name, _) in builds)
            table.Add([name, .. Engines.Select(engine => Text($"{Statistics.Median(seconds[(name, engine)]):F3}"))]);
        return table.ToString();
    }

    /// <summary>What <see cref="Inside"/> tells.</summary>
    private static async Task<string> Boards(int runs, CancellationToken cancellation)
    {
        var self = new Invocation("dotnet", typeof(StartCommand).Assembly.Location, "start", "--inside");
        var values = new Dictionary<(string Name, string Engine), List<double>>();
        for (int run = 0; run < runs; run++)
        {
            foreach (string engine in Engines)
            {
                TimedRun result = await TimedRun.ToEnd(self.With(engine), Limit, cancellation);
                foreach (string[] line in result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('=')))
                {
                    if (!values.TryGetValue((line[0], engine), out List<double>? list))
                        values.Add((line[0], engine), list = []);
                    list.Add(double.Parse(line[1], CultureInfo.InvariantCulture));
                }
            }
        }

        var table = new MarkdownTable(["measured, a plain build", .. Engines]);
        foreach (string name in values.Keys.Select(key => key.Name).Distinct())
            table.Add([name, .. Engines.Select(engine => Text($"{Statistics.Median(values[(name, engine)]):F0}"))]);
        return table.ToString();
    }

    private static void Inside(string name)
    {
        ExecutionEngine engine = name == "translator" ? new TranslatorEngine() : new InterpreterEngine();
        Machine Machine()
        {
            var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = engine });
            machine.Memory.MapRam(new Gpa(0x8000_0000), 1 << 20);
            return machine;
        }

        RiscVVirt Board() => new(new RiscVVirtOptions { Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = engine }, MemorySize = 64 << 20 });

        long start = Stopwatch.GetTimestamp(), methods = JitInfo.GetCompiledMethodCount();
        using (Board())
        {
            Tell("a first board, ms", Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            Tell("methods compiled for it", JitInfo.GetCompiledMethodCount() - methods);
        }

        Further("a further machine", Machine);
        Further("a further board", Board);
    }

    private static void Further(string name, Func<IDisposable> create)
    {
        for (int i = 0; i < Machines; i++)
            create().Dispose();
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        var times = new double[Machines];
        for (int i = 0; i < Machines; i++)
        {
            long start = Stopwatch.GetTimestamp();
            using IDisposable made = create();
            times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }

        Tell($"{name}, µs", Statistics.Median(times));
        Tell($"{name}, bytes of garbage", (GC.GetAllocatedBytesForCurrentThread() - allocated) / (double)Machines);
        long before = Resident();
        IDisposable[] idle = [.. Enumerable.Range(0, Machines).Select(_ => create())];
        Tell($"{name}, KiB while idle", (Resident() - before) / 1024.0 / Machines);
        foreach (IDisposable machine in idle)
            machine.Dispose();
    }

    private static long Resident()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        return Environment.WorkingSet;
    }

    private static void Tell(string name, double value) => Console.WriteLine(Text($"{name}={value:F3}"));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
