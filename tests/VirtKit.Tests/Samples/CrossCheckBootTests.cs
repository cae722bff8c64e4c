using System.Diagnostics;
using VirtKit.Accel.Translator;
using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Tests.Support;
using VirtKit.Tests.Translator;

namespace VirtKit.Tests.Samples;

/// <summary>Debian's kernel with every translated block compared with the definitions.</summary>
public sealed class CrossCheckBootTests
{
    private const string Started = "Linux version ";

    private static readonly TimeSpan Share = TimeSpan.FromSeconds(30);

    /// <summary>Everything up to the first user process: memory, interrupts, timers, self-patching, all drivers that are built in.</summary>
    [Fact]
    public async Task Debian_WithCrossCheck_BootsWithoutADifference()
    {
        Translators.Require();
        LinuxGuestFiles files = Require.Debian(DebianGuest.RiscV64);
        var console = new MemoryConsole();
        using var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions
            {
                Architecture = new RiscVArchitecture { Sbi = new SbiOptions() },
                Engine = new TranslatorEngine(new TranslatorOptions { CrossCheck = true }),
            },
            Console = console,
            // Lines come as the kernel writes them, not once it has its driver.
            CommandLine = "console=ttyS0 earlycon=uart8250,mmio,0x10000000",
        });
        Gpa entry = LinuxImage.Parse(File.ReadAllBytes(files.Kernel)).Load(board.Machine.Memory, RiscVVirt.FirmwareAddress);
        board.LoadInitrd(BusyboxInitramfs.Build(files));
        board.BootSupervisor(entry);
        using var stop = new CancellationTokenSource();
        Task<VcpuExit> run = board.Machine.RunAsync(stop.Token);
        // Beside other load it takes minutes: what has run by then had no difference either.
        var time = Stopwatch.StartNew();
        while (!run.IsCompleted && !console.WaitFor("Run /init as init process", TimeSpan.FromSeconds(1)))
        {
            bool hasStarted = console.Output.Contains(Started, StringComparison.Ordinal);
            if (time.Elapsed > (Soak.Time ?? (hasStarted ? Share : Hang.Limit)))
                break;
        }

        await stop.CancelAsync();
        VcpuExit exit = await run;
        Assert.True(exit.Reason == ExitReason.Kicked, $"{exit}\n{console.Output}");
        Assert.Contains(Started, console.Output, StringComparison.Ordinal);
    }
}
