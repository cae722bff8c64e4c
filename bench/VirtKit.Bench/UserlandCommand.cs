using System.CommandLine;
using VirtKit.Bench.Reports;
using VirtKit.Bench.Runs;

namespace VirtKit.Bench;

/// <summary>The subcommand <c>userland</c>: a real program in a Linux guest, which forks and executes others and writes to a disk, on QEMU and on VirtKit, in turns.</summary>
internal static class UserlandCommand
{
    private const string Success = "the guest's status is 0", SampleLine = "console=ttyS0 quiet panic=-1";

    public static Command Create()
    {
        var image = new Option<string?>("--image") { Description = "The disk, a raw image; without it, one that debootstrap has left half installed is made and kept in artifacts/bench." };
        var script = new Option<string?>("--script") { Description = $"The shell script that the guest runs; the line \"{Success}\" has to be among its output. Without it, debootstrap's second stage." };
        var memory = new Option<string>("--memory") { Description = "Guest memory.", DefaultValueFactory = _ => "1G" };
        var engine = new Option<string>("--engine") { Description = "The engine of VirtKit that runs the guest.", DefaultValueFactory = _ => "translator" };
        var runs = new Option<int>("--runs") { Description = "Pairs of runs; the table has medians.", DefaultValueFactory = _ => 1 };
        var limit = new Option<int>("--minutes") { Description = "How long a run may take.", DefaultValueFactory = _ => 60 };
        var qemu = new Option<string>("--qemu") { Description = "QEMU's program.", DefaultValueFactory = _ => "qemu-system-riscv64" };
        var subject = new Option<string?>("--subject") { Description = "Measure this build of samples/BootLinux instead of this repository's: the command that starts it." };
        var output = new Option<string?>("--output") { Description = "The results file; bench/results/userland-ENGINE.md without it, for the default script." };
        var command = new Command("userland", "Runs debootstrap's second stage in a Debian guest on QEMU and on VirtKit and compares the time of the whole process.")
        {
            image, script, memory, engine, runs, limit, qemu, subject, output,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            string work = Repository.PathOf("artifacts", "bench"), size = parsed.GetValue(memory)!, name = parsed.GetValue(engine)!;
            Directory.CreateDirectory(work);
            string given = parsed.GetValue(script) ?? Repository.PathOf("bench", "userland", "second-stage.sh");
            string disk = parsed.GetValue(image) ?? await HalfInstalledDisk.Find(work, cancellation), copy = Path.Combine(work, "userland-run.raw");
            LinuxFiles files = LinuxFiles.ForCommand(await File.ReadAllTextAsync(given, cancellation));
            var reference = new Qemu(parsed.GetValue(qemu)!);
            Invocation theirs = reference.Linux(files.Kernel, files.Initrd, SampleLine, 1, size).With("-drive", $"file={copy},format=raw,if=none,id=disk", "-device", "virtio-blk-device,drive=disk");
            Invocation sample = parsed.GetValue(subject) is { } text ? Invocation.Parse(text) : await Sample.Publish("BootLinux", cancellation);
            Invocation ours = sample.With("--kernel", files.Kernel, "--initrd", files.Initrd, "--append", "quiet panic=-1", "--memory", size, "--disk", copy, "--engine", name, "--quiet");
            TimeSpan time = TimeSpan.FromMinutes(parsed.GetValue(limit));
            List<double> qemuSeconds = [], ourSeconds = [];
            for (int run = 0; run < Math.Max(1, parsed.GetValue(runs)); run++)
            {
                foreach (bool isQemu in run % 2 == 0 ? (bool[])[true, false] : [false, true])
                {
                    File.Copy(disk, copy, overwrite: true);
                    Invocation invocation = isQemu ? theirs : ours;
                    TimedRun result = await TimedRun.ToEnd(invocation, time, cancellation);
                    if (!result.Output.Contains(Success, StringComparison.Ordinal))
                        throw new BenchException($"The guest failed: {invocation}\n{result.Output}\n{result.Error}");
                    (isQemu ? qemuSeconds : ourSeconds).Add(result.Seconds);
                    await Console.Error.WriteLineAsync($"{(isQemu ? "QEMU" : "VirtKit")} {result.Seconds:F1} s");
                }
            }

            File.Delete(copy);
            double q = Statistics.Median(qemuSeconds), v = Statistics.Median(ourSeconds);
            var table = new MarkdownTable("from process start to its end", "QEMU, s", "VirtKit, s", "VirtKit's time in QEMU's");
            table.Add($"{Path.GetFileNameWithoutExtension(given)}, 1 vCPU", $"{q:F1}", $"{v:F1}", $"{v / q:F2}");
            string page = $"""
                # A Linux userland on {(parsed.GetValue(subject) is null ? $"the {name}" : "another build")}

                {await HostDescription.Describe(reference, cancellation)}
                - Runs: median of {qemuSeconds.Count}, in turns; the same kernel, initramfs, script and copy of the disk; {size}

                {table}
                """;
            bool isDefault = parsed.GetValue(subject) is null && parsed.GetValue(script) is null;
            await ResultsPage.Write(page, parsed.GetValue(output) ?? (isDefault ? Repository.PathOf("bench", "results", $"userland-{name}.md") : null));
            return 0;
        });
        return command;
    }
}
