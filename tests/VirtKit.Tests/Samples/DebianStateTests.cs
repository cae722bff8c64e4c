using System.Globalization;
using System.Security.Cryptography;
using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.Support;
using VirtKit.Tests.Translator;

namespace VirtKit.Tests.Samples;

/// <summary>Debian's own kernel on a machine that goes to and fro between its engines, and on a chain of machines that each go on from the state of the last.</summary>
public sealed class DebianStateTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Debian_WhoseEngineChangesEvery100000Instructions_EndsAsOneThatKeepsIt(int vcpus)
    {
        const ulong Interval = 100_000;
        using RiscVVirt kept = Compose(vcpus, "translator"), changing = Compose(vcpus, "translator");
        string expected = Describe(kept.Machine.Run(Cancellation), kept);
        ExecutionEngine[] engines = [changing.Machine.Engine, RiscVEngines.Create("interpreter")];
        int switches = 0;
        VcpuExit exit;
        while ((exit = changing.Machine.Run(Interval, Cancellation)).Reason == ExitReason.BudgetExhausted)
            changing.Machine.SwitchEngine(engines[++switches % 2]);
        Assert.True(switches > 1000, $"{switches} switches");
        Assert.Equal(expected, Describe(exit, changing));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Debian_SavedAndRestoredIntoNewBoards_EndsAsOneThatRanThrough(int vcpus)
    {
        const int Points = 50;
        using RiscVVirt whole = Compose(vcpus, "translator");
        string expected = Describe(whole.Machine.Run(Cancellation), whole);
        ulong length = 0;
        foreach (Vcpu vcpu in whole.Machine.Vcpus)
            length += vcpu.Counters.Retired;
        Random random = Seed.Random();
        RiscVVirt board = Compose(vcpus, "translator");
        string output = "";
        int restores = 0;
        try
        {
            VcpuExit exit;
            while ((exit = board.Machine.Run((ulong)random.NextInt64((long)length * 2 / Points), Cancellation)).Reason == ExitReason.BudgetExhausted)
            {
                RiscVVirt next = Compose(vcpus, random.Next(2) == 0 ? "translator" : "interpreter", boots: false);
                using MachineSnapshot snapshot = board.Machine.Capture();
                using MachineSnapshot taken = restores % 4 == 0 ? Copy(snapshot) : snapshot;
                next.Machine.Restore(taken);
                using MachineSnapshot again = next.Machine.Capture();
                Assert.True(snapshot.State.Span.SequenceEqual(again.State.Span));
                output += Console(board).Output;
                board.Dispose();
                board = next;
                restores++;
            }

            Assert.True(restores >= Points / 4, $"{restores} restores");
            Assert.Equal(expected, Describe(exit, board, output));
        }
        finally
        {
            board.Dispose();
        }
    }

    /// <summary>By way of a file.</summary>
    private static MachineSnapshot Copy(MachineSnapshot snapshot)
    {
        using var file = new MemoryStream();
        snapshot.SaveAsync(file, cancellationToken: Cancellation).Wait(Cancellation);
        file.Position = 0;
        return MachineSnapshot.LoadAsync(file, Cancellation).Result;
    }

    private static readonly System.Runtime.CompilerServices.ConditionalWeakTable<RiscVVirt, MemoryConsole> Consoles = [];

    private static MemoryConsole Console(RiscVVirt board) => Consoles.TryGetValue(board, out MemoryConsole? console) ? console : throw new InvalidOperationException();

    private static Span<byte> Memory(RiscVVirt board)
    {
        MemoryRegion ram = board.Machine.Memory.Regions.Where(region => region is { IsMemory: true, IsWritable: true }).MaxBy(region => region.Size)!;
        Assert.True(board.Machine.Memory.TryGetSpan(ram.Start, checked((int)ram.Size), out Span<byte> bytes));
        return bytes;
    }

    private static RiscVVirt Compose(int vcpus, string engine, bool boots = true)
    {
        Translators.Require();
        LinuxGuestFiles files = Require.Debian(DebianGuest.RiscV64);
        var console = new MemoryConsole();
        var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions
            {
                Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create(engine), VcpuCount = vcpus,
            },
            Console = console,
            MemorySize = 128 << 20,
            CommandLine = "console=ttyS0 earlycon=sbi",
        });
        Consoles.Add(board, console);
        if (!boots)
            return board;
        Gpa entry = LinuxImage.Parse(File.ReadAllBytes(files.Kernel)).Load(board.Machine.Memory, RiscVVirt.KernelAddress);
        board.LoadInitrd(BusyboxInitramfs.Build(files, new BusyboxInitramfsOptions { Command = "uname -a; head -c 40 /dev/hwrng | od -x; cat /proc/interrupts" }));
        board.BootSupervisor(entry);
        return board;
    }

    /// <returns>How it ended: exit, time, counts, a hash of memory, and the console.</returns>
    private static string Describe(VcpuExit exit, RiscVVirt board, string earlier = "") => string.Create(CultureInfo.InvariantCulture,
        $"{exit} {board.Machine.Clock.Now} ns {string.Join(' ', board.Machine.Vcpus.Select(v => v.Counters.Retired))} {Convert.ToHexString(SHA256.HashData(Memory(board)))}\n{earlier}{Console(board).Output}");
}
