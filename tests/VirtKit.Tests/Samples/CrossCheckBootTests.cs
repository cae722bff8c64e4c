using VirtKit.Accel.Translator;
using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Samples.BootLinux;
using VirtKit.Tests.Support;
using VirtKit.Tests.Translator;

namespace VirtKit.Tests.Samples;

/// <summary>Debian's kernel with every translated block compared with the definitions.</summary>
public sealed class CrossCheckBootTests
{
    /// <summary>Everything up to the first user process: memory, interrupts, timers, self-patching, all drivers that are built in.</summary>
    [Fact]
    public async Task Debian_WithCrossCheck_ReachesInitWithoutADifference()
    {
        Translators.Require();
        LinuxGuestFiles files = DebianFiles.RiscV();
        var console = new MemoryConsole();
        using var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions
            {
                Architecture = new RiscVArchitecture { Sbi = new SbiOptions() },
                Engine = new TranslatorEngine(new TranslatorOptions { CrossCheck = true }),
            },
            Console = console,
            CommandLine = "console=ttyS0",
        });
        Gpa entry = LinuxImage.Parse(File.ReadAllBytes(files.Kernel)).Load(board.Machine.Memory, RiscVVirt.FirmwareAddress);
        board.LoadInitrd(BusyboxInitramfs.Build(files));
        board.BootSupervisor(entry);
        using var stop = new CancellationTokenSource();
        Task<VcpuExit> run = board.Machine.RunAsync(stop.Token);
        Task<bool> reached = Task.Run(() => console.WaitFor("Run /init as init process", TimeSpan.FromMinutes(8)));
        await Task.WhenAny(run, reached);
        await stop.CancelAsync();
        VcpuExit exit = await run;
        Assert.True(exit.Reason == ExitReason.Kicked && await reached, $"{exit}\n{console.Output}");
    }
}
