using System.Globalization;
using System.Security.Cryptography;
using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.Tests.Support;
using VirtKit.Tests.Translator;

namespace VirtKit.Tests.Samples;

/// <summary>Debian's own kernel on a machine that goes to and fro between its engines.</summary>
public sealed class DebianSwitchTests
{
    private const ulong Interval = 100_000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Debian_WhoseEngineChangesEvery100000Instructions_EndsAsOneThatKeepsIt(int vcpus)
    {
        Translators.Require();
        LinuxGuestFiles files = Require.Debian(DebianGuest.RiscV64);
        Assert.Equal(Boot(files, vcpus, machine => machine.Run(TestContext.Current.CancellationToken)), Boot(files, vcpus, machine =>
        {
            ExecutionEngine[] engines = [machine.Engine, RiscVEngines.Create("interpreter")];
            int switches = 0;
            VcpuExit exit;
            while ((exit = machine.Run(Interval, TestContext.Current.CancellationToken)).Reason == ExitReason.BudgetExhausted)
                machine.SwitchEngine(engines[++switches % 2]);
            Assert.True(switches > 1000, $"{switches} switches");
            return exit;
        }));
    }

    /// <returns>How it ended: exit, counts, time, console and a hash of memory.</returns>
    private static string Boot(LinuxGuestFiles files, int vcpus, Func<Machine, VcpuExit> run)
    {
        var console = new MemoryConsole();
        using var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions
            {
                Architecture = new RiscVArchitecture { Sbi = new SbiOptions { Console = new SbiConsole(console) } }, Engine = RiscVEngines.Create("translator"), VcpuCount = vcpus,
            },
            Console = console,
            MemorySize = 128 << 20,
            CommandLine = "console=ttyS0 earlycon=sbi",
        });
        Machine machine = board.Machine;
        Gpa entry = LinuxImage.Parse(File.ReadAllBytes(files.Kernel)).Load(machine.Memory, RiscVVirt.KernelAddress);
        board.LoadInitrd(BusyboxInitramfs.Build(files, new BusyboxInitramfsOptions { Command = "uname -a; cat /proc/interrupts" }));
        board.BootSupervisor(entry);
        VcpuExit exit = run(machine);
        string hash = "no memory";
        foreach (MemoryRegion region in machine.Memory.Regions)
        {
            if (region.IsMemory && machine.Memory.TryGetSpan(region.Start, checked((int)region.Size), out Span<byte> bytes))
                hash = Convert.ToHexString(SHA256.HashData(bytes));
        }

        return string.Create(CultureInfo.InvariantCulture,
            $"{exit} {machine.Clock.Now} ns {hash}\n{string.Join('\n', machine.Vcpus.Select(v => $"{v.Counters.Retired} {v.Counters.Traps} {v.Counters.MmioAccesses}"))}\n{console.Output}");
    }
}
