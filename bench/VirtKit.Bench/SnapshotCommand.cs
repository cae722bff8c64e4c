using System.CommandLine;
using System.Diagnostics;
using VirtKit.Accel.Translator;
using VirtKit.Bench.Reports;
using VirtKit.Bench.Runs;
using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.State;

namespace VirtKit.Bench;

/// <summary>The subcommand <c>snapshot</c>: a booted Debian captured, forked, saved and loaded, beside QEMU's savevm and loadvm of the same guest.</summary>
internal static class SnapshotCommand
{
    private const string Line = "console=ttyS0 earlycon=sbi";
    private const ulong MemorySize = 512 << 20;

    /// <summary>About 100 MiB of the guest's memory in use, as in a guest that has worked.</summary>
    private const string Fill = "dd if=/dev/urandom of=/fill bs=1M count=64 2>/dev/null; echo filled $((40+2))";
    private const string Filled = "filled 42";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    public static Command Create()
    {
        var runs = new Option<int>("--runs") { Description = "Runs of each; the tables have medians.", DefaultValueFactory = _ => 5 };
        var forks = new Option<int>("--forks") { Description = "Forks that are alive at once.", DefaultValueFactory = _ => 1000 };
        var qemu = new Option<string>("--qemu") { Description = "QEMU's program.", DefaultValueFactory = _ => "qemu-system-riscv64" };
        var command = new Command("snapshot", "Captures, forks, saves and loads a booted Debian, beside QEMU's savevm and loadvm.") { runs, forks, qemu };
        command.SetAction(async (parsed, cancellation) =>
        {
            int count = Math.Max(1, parsed.GetValue(runs));
            LinuxFiles files = LinuxFiles.Find(null, null);
            string folder = Repository.PathOf("artifacts", "bench", "snapshots");
            Directory.CreateDirectory(folder);
            using RiscVVirt prepared = await Prepare(files, cancellation);
            var table = new MarkdownTable("measured", "VirtKit", "QEMU");
            List<double> captures = [], creations = [], restores = [], saves = [], loads = [];
            for (int i = 0; i < count; i++)
            {
                captures.Add(Milliseconds(() => prepared.Machine.Capture().Dispose()));
                await Console.Error.WriteLineAsync($"captured in {captures[^1]:F1} ms");
            }

            using MachineSnapshot snapshot = prepared.Machine.Capture();
            table.Add("capture in memory, ms", $"{Statistics.Median(captures):F1}", "");
            for (int i = 0; i < 10 * count; i++)
            {
                RiscVVirt? fork = null;
                creations.Add(Milliseconds(() => fork = Board(new MemoryConsole())));
                restores.Add(Milliseconds(() => Start(fork!, snapshot)));
                fork!.Dispose();
            }

            table.Add("a board for a fork, ms", $"{Statistics.Median(creations):F2}", "");
            table.Add("restore to the first instruction, ms", $"{Statistics.Median(restores):F2}", "");
            string path = Path.Combine(folder, "debian.vksnap"), mappable = Path.Combine(folder, "debian-mappable.vksnap");
            List<double> mappableSaves = [], maps = [], unverified = [];
            for (int i = 0; i < count; i++)
            {
                saves.Add(await Save(path, SnapshotLayout.Packed));
                mappableSaves.Add(await Save(mappable, SnapshotLayout.Mappable));
                loads.Add(await Load(() => MachineSnapshot.LoadAsync(path, cancellation)));
                maps.Add(await Load(() => MachineSnapshot.MapAsync(mappable, SnapshotVerification.Whole, cancellation)));
                unverified.Add(await Load(() => MachineSnapshot.MapAsync(mappable, SnapshotVerification.StateOnly, cancellation)));
                await Console.Error.WriteLineAsync($"saved in {saves[^1]:F0} ms, mappable in {mappableSaves[^1]:F0} ms; loaded in {loads[^1]:F0} ms, mapped in {maps[^1]:F1} ms, unverified in {unverified[^1]:F1} ms");
            }

            async Task<double> Save(string file, SnapshotLayout layout)
            {
                long start = Stopwatch.GetTimestamp();
                using (MachineSnapshot taken = prepared.Machine.Capture())
                    await taken.SaveAsync(file, new SnapshotOptions { Layout = layout }, cancellationToken: cancellation);
                return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }

            static async Task<double> Load(Func<Task<MachineSnapshot>> load)
            {
                using RiscVVirt board = Board(new MemoryConsole());
                long start = Stopwatch.GetTimestamp();
                using (MachineSnapshot loaded = await load())
                    Start(board, loaded);
                return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }

            (double save, double load) = await QemuSnapshot.Measure(parsed.GetValue(qemu)!, files, Line, Fill, Filled, folder, count, cancellation);
            table.Add("to disk, ms", $"{Statistics.Median(saves):F0}", $"{save:F0}");
            table.Add("to disk, mappable, ms", $"{Statistics.Median(mappableSaves):F0}", "");
            table.Add("from disk to the first instruction, ms", $"{Statistics.Median(loads):F0}", $"{load:F0}");
            table.Add("mapped to the first instruction, ms", $"{Statistics.Median(maps):F1}", "");
            table.Add("mapped without comparing memory, ms", $"{Statistics.Median(unverified):F1}", "");
            table.Add("the file, MiB", $"{new FileInfo(path).Length >> 20}", "");
            Record(table, snapshot, count);
            await Many(table, snapshot, parsed.GetValue(forks), cancellation);
            await Console.Out.WriteLineAsync(table.ToString());
        });
        return command;
    }

    /// <summary>Boots the guest to its shell and fills memory.</summary>
    private static async Task<RiscVVirt> Prepare(LinuxFiles files, CancellationToken cancellation)
    {
        var console = new MemoryConsole();
        RiscVVirt board = Board(console);
        board.LoadInitrd(await File.ReadAllBytesAsync(files.Initrd, cancellation));
        board.BootSupervisor(LinuxImage.Parse(await File.ReadAllBytesAsync(files.Kernel, cancellation)).Load(board.Machine.Memory, RiscVVirt.KernelAddress));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task<VcpuExit> run = console.Follow(board.Machine.RunAsync(stop.Token));
        LinuxShell shell = await LinuxShell.OpenAsync(console, Limit, cancellation);
        ShellResult result = await shell.RunAsync(Fill, Limit, cancellation);
        if (!result.Output.Contains(Filled, StringComparison.Ordinal))
            throw new BenchException($"The guest did not fill its memory: {result.Output}");
        await stop.CancelAsync();
        await run;
        return board;
    }

    private static RiscVVirt Board(MemoryConsole console) => new(new RiscVVirtOptions
    {
        Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = new TranslatorEngine() },
        MemorySize = MemorySize, Console = console, CommandLine = Line,
    });

    private static void Start(RiscVVirt board, MachineSnapshot snapshot)
    {
        board.Machine.Restore(snapshot);
        board.Machine.Run(budget: 1);
    }

    /// <summary>A guest at work, recorded and not, in turns, and what was recorded repeated.</summary>
    private static void Record(MarkdownTable table, MachineSnapshot snapshot, int count)
    {
        const ulong Length = 2_000_000_000;
        List<double> plain = [], recorded = [], repeated = [];
        for (int i = 0; i < count; i++)
        {
            plain.Add(Milliseconds(() => Work().Dispose()));
            RiscVVirt? board = null;
            recorded.Add(Milliseconds(() => board = Work(records: true)));
            using MachineRecording recording = board!.Machine.StopRecording();
            board.Dispose();
            using RiscVVirt other = Board(new MemoryConsole());
            repeated.Add(Milliseconds(() =>
            {
                other.Machine.Replay(recording);
                other.Machine.Run();
            }));
            Console.Error.WriteLine($"{Length / 1e3 / plain[^1]:F0} million instructions a second, {Length / 1e3 / recorded[^1]:F0} recorded, {Length / 1e3 / repeated[^1]:F0} repeated; {recording.LogSize} bytes of input");
        }

        table.Add("instructions a second recorded, of those without", $"{Statistics.Median([.. plain.Zip(recorded, (one, other) => one / other)]):F3}", "");
        table.Add("instructions a second repeated, of those without", $"{Statistics.Median([.. plain.Zip(repeated, (one, other) => one / other)]):F3}", "");

        RiscVVirt Work(bool records = false)
        {
            var console = new MemoryConsole();
            RiscVVirt board = Board(console);
            board.Machine.Restore(snapshot);
            if (records)
                board.Machine.StartRecording();
            console.Type("while :; do head -c 100000 /dev/urandom | md5sum; done\r");
            board.Machine.Run(Length);
            return board;
        }
    }

    /// <summary>Many forks alive at once: what an idle one adds, and each one's answer.</summary>
    private static async Task Many(MarkdownTable table, MachineSnapshot snapshot, int count, CancellationToken cancellation)
    {
        MemoryConsole[] consoles = [.. Enumerable.Range(0, count).Select(_ => new MemoryConsole(4096))];
        var boards = new RiscVVirt[count];
        try
        {
            Collect();
            long before = ProportionalSetSize(), start = Stopwatch.GetTimestamp();
            for (int i = 0; i < count; i++)
                Start(boards[i] = Board(consoles[i]), snapshot);
            double made = Stopwatch.GetElapsedTime(start).TotalSeconds;
            Collect();
            table.Add($"memory that each of {count} idle forks adds, KiB", $"{(ProportionalSetSize() - before) / 1024.0 / count:F0}", "");
            await Console.Error.WriteLineAsync($"{count} forks made in {made:F1} s");
            await Parallel.ForAsync(0, count, cancellation, (i, _) =>
            {
                consoles[i].Type($"echo answer $(({i}+1))\r");
                for (int turns = 0; turns < 200 && !consoles[i].Output.Contains($"answer {i + 1}", StringComparison.Ordinal); turns++)
                    boards[i].Machine.Run(budget: 500_000, _);
                if (!consoles[i].Output.Contains($"answer {i + 1}", StringComparison.Ordinal))
                    throw new BenchException($"Fork {i} did not answer: {consoles[i].Output}");
                return ValueTask.CompletedTask;
            });
            table.Add($"{count} forks made, and answered on their consoles, s", $"{Stopwatch.GetElapsedTime(start).TotalSeconds:F1}", "");
            table.Add("memory of each after its answer, KiB", $"{(ProportionalSetSize() - before) / 1024.0 / count:F0}", "");
        }
        finally
        {
            foreach (RiscVVirt? board in boards)
                board?.Dispose();
        }
    }

    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    private static double Milliseconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    /// <summary>The process's memory, shared pages by their share, in bytes.</summary>
    private static long ProportionalSetSize()
    {
        string line = File.ReadLines("/proc/self/smaps_rollup").First(line => line.StartsWith("Pss:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture) << 10;
    }
}
