using System.CommandLine;
using VirtKit.Bench.Reports;
using VirtKit.Bench.Runs;

namespace VirtKit.Bench;

/// <summary>The subcommand <c>debian</c>: a Linux kernel from process start to the moment it starts <c>/init</c>, on QEMU and on VirtKit, in turns.</summary>
internal static class DebianCommand
{
    // The kernel's own words (init/main.c) at the level "info"; the same yardstick for both, read on the console from outside.
    private const string InitMarker = "Run /init as init process";

    // What samples/BootLinux itself puts on the command line, for QEMU's kernel too.
    private const string SampleLine = "console=ttyS0 earlycon=sbi";

    private static readonly TimeSpan BootLimit = TimeSpan.FromMinutes(5);

    public static Command Create()
    {
        var kernel = new Option<string?>("--kernel") { Description = "The kernel, an Image; without it, Debian's from the cache of samples/BootLinux." };
        var initrd = new Option<string?>("--initrd") { Description = "The initramfs with /init; without it, the one from that cache." };
        var append = new Option<string>("--append") { Description = "Text added to the kernel's command line; not quiet.", DefaultValueFactory = _ => "" };
        var memory = new Option<string>("--memory") { Description = "Guest memory.", DefaultValueFactory = _ => "512M" };
        var cpus = new Option<int>("--cpus") { Description = "The number of vCPUs.", DefaultValueFactory = _ => 1 };
        var engine = new Option<string>("--engine") { Description = "The engine of VirtKit that boots.", DefaultValueFactory = _ => "interpreter" };
        var runs = new Option<int>("--runs") { Description = "Pairs of runs; the table has medians.", DefaultValueFactory = _ => 3 };
        var qemu = new Option<string>("--qemu") { Description = "QEMU's program.", DefaultValueFactory = _ => "qemu-system-riscv64" };
        var subject = new Option<string?>("--subject") { Description = "Measure this command instead of samples/BootLinux; it is used as it stands." };
        var output = new Option<string?>("--output") { Description = "The results file; bench/results/debian-ENGINE.md without it." };

        var command = new Command("debian", "Boots the same kernel and initramfs on QEMU and on VirtKit and compares the time to /init.")
        {
            kernel, initrd, append, memory, cpus, engine, runs, qemu, subject, output,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            string engineName = parsed.GetValue(engine)!;
            LinuxFiles files = LinuxFiles.Find(parsed.GetValue(kernel), parsed.GetValue(initrd));
            string more = parsed.GetValue(append)!, line = $"{SampleLine} {more}".TrimEnd(), size = parsed.GetValue(memory)!;
            int count = parsed.GetValue(cpus), pairs = Math.Max(1, parsed.GetValue(runs));
            var reference = new Qemu(parsed.GetValue(qemu)!);
            Invocation theirs = reference.Linux(files.Kernel, files.Initrd, line, count, size);
            Invocation ours = parsed.GetValue(subject) is { } text
                ? Invocation.Parse(text)
                : (await Sample.Publish("BootLinux", cancellation)).With(
                    "--kernel", files.Kernel, "--initrd", files.Initrd, "--append", more, "--cpus", $"{count}", "--memory", size, "--engine", engineName, "--no-fetch");

            var qemuSeconds = new List<double>();
            var ourSeconds = new List<double>();
            for (int run = 0; run < pairs; run++)
            {
                // Who goes first changes, as with the guests.
                if (run % 2 == 0)
                    qemuSeconds.Add(await TimedRun.ToLine(theirs, InitMarker, BootLimit, cancellation));
                ourSeconds.Add(await TimedRun.ToLine(ours, InitMarker, BootLimit, cancellation));
                if (run % 2 != 0)
                    qemuSeconds.Add(await TimedRun.ToLine(theirs, InitMarker, BootLimit, cancellation));
                await Console.Error.WriteLineAsync($"QEMU {qemuSeconds[^1]:F2} s, VirtKit {ourSeconds[^1]:F2} s");
            }

            double q = Statistics.Median(qemuSeconds), v = Statistics.Median(ourSeconds);
            var table = new MarkdownTable("from process start to /init", "QEMU, s", "VirtKit, s", "ratio");
            table.Add($"{Path.GetFileName(files.Kernel)}, {count} vCPU", $"{q:F2}", $"{v:F2}", $"{q / v:F2}");
            string page = $"""
                # Linux to /init on {(parsed.GetValue(subject) is null ? $"the {engineName}" : "a command of the user's")}

                {await HostDescription.Describe(reference, cancellation)}
                - Runs: median of {pairs}, in turns; from process start to the kernel's line "{InitMarker}"; command line `{line}`, {size}

                {table}
                """;
            string? file = parsed.GetValue(output) ?? (parsed.GetValue(subject) is null ? Repository.PathOf("bench", "results", $"debian-{engineName}.md") : null);
            await ResultsPage.Write(page, file);
            return 0;
        });
        return command;
    }
}
