using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Tests.Support;
using VirtKit.Tests.Translator;

namespace VirtKit.Tests.Samples;

/// <summary>Commands in Debian's kernel with busybox, as a host's program runs them.</summary>
public sealed class LinuxShellBootTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Debian_CommandsAtItsShell_GiveOutputAndStatus(bool virtio)
    {
        Translators.Require();
        LinuxGuestFiles files = Require.Debian(DebianGuest.RiscV64);
        MemoryConsole serial = new(), console = virtio ? new MemoryConsole() : serial;
        using var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create("translator") },
            Console = serial,
            VirtioConsole = virtio ? console : null,
            CommandLine = "console=ttyS0 earlycon=sbi",
        });
        Gpa entry = LinuxImage.Parse(File.ReadAllBytes(files.Kernel)).Load(board.Machine.Memory, RiscVVirt.KernelAddress);
        board.LoadInitrd(BusyboxInitramfs.Build(files));
        board.BootSupervisor(entry);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task<VcpuExit> run = console.Follow(board.Machine.RunAsync(stop.Token));
        try
        {
            LinuxShell shell = await LinuxShell.OpenAsync(console, Limit, Cancellation);
            Assert.Equal(new ShellResult(0, "riscv64\n"), await shell.RunAsync("uname -m", Limit, Cancellation));
            Assert.Equal(new ShellResult(7, "out\nerr\n"), await shell.RunAsync("echo out; echo err >&2; (exit 7)", Limit, Cancellation));
            ShellResult numbers = await shell.RunAsync("seq 1 5000", Limit, Cancellation);
            Assert.Equal(string.Concat(Enumerable.Range(1, 5000).Select(i => $"{i}\n")), numbers.Output);
            // The kernel writes to the same line meanwhile.
            ShellResult noisy = await shell.RunAsync("for i in 1 2 3; do echo \"message $i\" > /dev/kmsg; echo $i; done; (exit 9)", Limit, Cancellation);
            Assert.Equal(new ShellResult(9, "1\n2\n3\n"), noisy);
            Assert.Contains("message 3", (await shell.RunAsync("dmesg | tail -n 3", Limit, Cancellation)).Output, StringComparison.Ordinal);
            GuestEndedException ended = await Assert.ThrowsAsync<GuestEndedException>(() => shell.RunAsync("poweroff -f", Limit, Cancellation));
            Assert.Equal(ExitReason.Shutdown, ended.Exit!.Value.Reason);
            Assert.Equal(ExitReason.Shutdown, (await run).Reason);
        }
        finally
        {
            await stop.CancelAsync();
            await run;
        }
    }
}
