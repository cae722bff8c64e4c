using System.Buffers.Binary;
using VirtKit.Accel.Kvm;
using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Devices;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.Kvm;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using VirtKit.Tests.Translator;
using static Iced.Intel.AssemblerRegisters;
using static VirtKit.Tests.Kvm.X64BoardGuest;
using static VirtKit.Tests.State.SnapshotBoard;

namespace VirtKit.Tests.State;

/// <summary>What a guest sees of having been restored: nothing, or a new generation ID, an interrupt and other random numbers.</summary>
public sealed class GenerationIdTests
{
    private const ulong Page = 0x10_2000, Pending = 0xc00_1004;
    private const uint Source = 1u << 63 % 32;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    public static TheoryData<string> Engines => [.. RiscVEngines.All];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Restore_WhereTheIdIsKept_GoesOnAsTheMachineThatWasCaptured(string engine)
    {
        using RiscVVirt first = Board(engine, generationId: GenerationIdMode.Kept), second = Board(engine, loads: false, generationId: GenerationIdMode.Kept);
        first.Machine.Run(100_000, Cancellation);
        using MachineSnapshot snapshot = first.Machine.Capture();
        second.Machine.Restore(snapshot);
        first.Machine.Run(100_000, Cancellation);
        second.Machine.Run(100_000, Cancellation);
        Assert.Equal(Describe(first), Describe(second));
        Assert.Equal(Device(first).Id, Device(second).Id);
        Assert.Equal(Tree(first), Tree(second));
        Assert.False(IsPending(second));
    }

    [Fact]
    public void Restore_WhereTheIdIsFresh_ChangesItEachTimeAndTellsTheGuest()
    {
        using RiscVVirt prepared = Board("interpreter", generationId: GenerationIdMode.Kept), same = Board("interpreter", generationId: GenerationIdMode.Kept);
        Assert.Equal(Device(prepared).Id, Device(same).Id);
        Assert.Equal(Device(prepared).Id, IdOf(prepared));
        prepared.Machine.Run(10_000, Cancellation);
        using MachineSnapshot snapshot = prepared.Machine.Capture();
        RiscVVirt[] forks = [.. Enumerable.Range(0, 3).Select(_ => Board("interpreter", loads: false, generationId: GenerationIdMode.Fresh))];
        HashSet<Guid> seen = [Device(prepared).Id];
        HashSet<string> numbers = [Tree(prepared)];
        foreach (RiscVVirt fork in (RiscVVirt[])[.. forks, .. forks])
        {
            fork.Machine.Restore(snapshot);
            Assert.True(seen.Add(Device(fork).Id));
            Assert.True(IsPending(fork));
            Assert.Equal(Device(fork).Id, IdOf(fork));
            Assert.True(numbers.Add(Tree(fork)));
            fork.Machine.Run(10_000, Cancellation);
        }

        // A fork of a fork, kept: what the fork has.
        using MachineSnapshot again = forks[0].Machine.Capture();
        same.Machine.Restore(again);
        Assert.Equal((Device(forks[0]).Id, Tree(forks[0])), (Device(same).Id, Tree(same)));
        foreach (RiscVVirt fork in forks)
            fork.Dispose();
    }

    /// <summary>A run that is repeated is the one that was recorded: going to its places by checkpoints is no restore to the guest.</summary>
    [Fact]
    public void Replay_WhereTheIdIsFresh_KeepsTheRecordedOne()
    {
        using RiscVVirt first = Board("interpreter", generationId: GenerationIdMode.Fresh), second = Board("interpreter", loads: false, generationId: GenerationIdMode.Fresh);
        Guid id = IdOf(first);
        first.Machine.StartRecording();
        first.Machine.Run(100_000, Cancellation);
        using MachineRecording recording = first.Machine.StopRecording();
        second.Machine.Replay(recording, new ReplayOptions { CheckpointDistance = 10_000 });
        Check();
        foreach (ulong place in (ulong[])[50_000, 20_000, 90_000])
        {
            second.Machine.GoTo(place, Cancellation);
            Check();
        }

        second.Machine.StepBack(5, Cancellation);
        Check();
        second.Machine.GoTo(recording.LastInstruction, Cancellation);
        Assert.Equal(Describe(first), Describe(second));

        void Check()
        {
            Assert.Equal(id, Device(second).Id);
            Assert.False(IsPending(second));
        }
    }

    [Fact]
    public void Restore_OfABoardWithoutTheDevice_SaysWhatIsMissing()
    {
        using RiscVVirt without = Board("interpreter"), with = Board("interpreter", generationId: GenerationIdMode.Fresh);
        using MachineSnapshot snapshot = without.Machine.Capture();
        Assert.Contains("generation-id", Assert.Throws<InvalidSnapshotException>(() => with.Machine.Restore(snapshot)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Page_ThatAGuestStoresTo_StaysAsItIs(string engine)
    {
        using RiscVVirt board = Board(engine, loads: false, generationId: GenerationIdMode.Kept);
        board.Machine.Memory.Write(RiscVVirt.KernelAddress, RiscVAssembler.Assemble("li a0, 0x102000\nld a1, 0(a0)\nsd zero, 0(a0)\nsb zero, 9(a0)\nld a2, 0(a0)\nld a3, 8(a0)\nend: j end", RiscVVirt.KernelAddress.Value, out _));
        board.BootSupervisor(RiscVVirt.KernelAddress);
        Guid before = Device(board).Id;
        board.Machine.Run(100, Cancellation);
        RiscVState state = board.Machine.Vcpus[0].GetState<RiscVState>();
        Span<byte> read = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(read, state.X[12]);
        BinaryPrimitives.WriteUInt64LittleEndian(read[8..], state.X[13]);
        Assert.Equal((before, before, state.X[11]), (Device(board).Id, new Guid(read), state.X[12]));
    }

    /// <summary>On KVM, with either kind of interrupt chips: the guest waits for the interrupt, and then reads what the page has.</summary>
    [Theory, MemberData(nameof(X64BoardGuest.Chips), MemberType = typeof(X64BoardGuest))]
    public void Restore_OnKvm_InterruptsTheGuestThatReadsTheNewId(KvmInterruptController chips)
    {
        const byte Vector = 0x59, Stopped = 1, Ended = 2;
        const ulong Copy = 0x7_0000;
        using var guest = new X64BoardGuest(chips);
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            StartPics(a, 0xffff);
            Redirect(a, 9, Vector);
            a.mov(ebx, 0xfe00_8000);
            a.mov(eax, __dword_ptr[rbx]);
            Pause(a, Stopped);
            Await(a, Vector, 1);
            Store(a, 0xfe00_8000, 0);
            a.movdqu(xmm0, __xmmword_ptr[rbx]);
            a.movdqu(__xmmword_ptr[Copy], xmm0);
            Exit(a, Ended);
        });
        Assert.Equal(Stopped, guest.Run());
        Guid before = Device(guest.Board.Devices).Id;
        using var fork = new X64BoardGuest(chips);
        fork.Restore(guest.Save());
        Assert.Equal(Ended, fork.Run());
        Assert.Equal(1u, fork.Count(Vector));
        byte[] read = new byte[16];
        fork.Machine.Memory.Read(new Gpa(Copy), read);
        Assert.Equal(Device(fork.Board.Devices).Id, new Guid(read));
        Assert.NotEqual(before, new Guid(read));
        Assert.Equal(before, Device(guest.Board.Devices).Id);
    }

    /// <summary>Debian's kernel has the driver for device trees built in.</summary>
    [Theory]
    [InlineData(GenerationIdMode.Fresh)]
    [InlineData(GenerationIdMode.Kept)]
    public async Task Debian_ThatIsForked_ReseedsItsNumbersWhereTheIdIsFresh(GenerationIdMode mode)
    {
        const string Reseeded = "crng reseeded due to virtual machine fork";
        Translators.Require();
        var console = new MemoryConsole();
        using MachineSnapshot snapshot = await PrepareAsync(console);
        Assert.DoesNotContain(Reseeded, console.Output, StringComparison.Ordinal);
        var own = new MemoryConsole();
        using RiscVVirt fork = Debian(own, mode);
        fork.Machine.Restore(snapshot);
        ShellResult said = await TalkAsync(fork, own, shell => shell.RunAsync("sleep 1; dmesg | grep -c 'virtual machine fork'", Limit, Cancellation));
        Assert.Equal(mode == GenerationIdMode.Fresh ? "1\n" : "0\n", said.Output);
    }

    private static async Task<MachineSnapshot> PrepareAsync(MemoryConsole console)
    {
        using RiscVVirt board = Debian(console, GenerationIdMode.Kept);
        LinuxGuestFiles files = Require.Debian(DebianGuest.RiscV64);
        board.LoadInitrd(BusyboxInitramfs.Build(files));
        board.BootLinux(File.ReadAllBytes(files.Kernel));
        await TalkAsync(board, console, shell => shell.RunAsync("true", Limit, Cancellation));
        return board.Machine.Capture();
    }

    private static async Task<ShellResult> TalkAsync(RiscVVirt board, MemoryConsole console, Func<LinuxShell, Task<ShellResult>> talk)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task<VcpuExit> run = console.Follow(board.Machine.RunAsync(stop.Token));
        try
        {
            return await talk(await LinuxShell.OpenAsync(console, Limit, Cancellation));
        }
        finally
        {
            await stop.CancelAsync();
            await run;
        }
    }

    private static RiscVVirt Debian(MemoryConsole console, GenerationIdMode mode) => new(new RiscVVirtOptions
    {
        Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create("translator") },
        Console = console,
        CommandLine = "console=ttyS0 earlycon=sbi",
        GenerationId = mode,
    });

    private static VirtualMachineGenerationId Device(RiscVVirt board) => Device(board.Devices);

    private static VirtualMachineGenerationId Device(IEnumerable<AttachedDevice> devices) => devices.Select(d => d.Device).OfType<VirtualMachineGenerationId>().Single();

    private static bool IsPending(RiscVVirt board) => board.Machine.Memory.TryLoad(new Gpa(Pending), 4, out ulong pending) && (pending & Source) != 0;

    private static Guid IdOf(RiscVVirt board)
    {
        byte[] read = new byte[16];
        for (int i = 0; i < 16; i++)
        {
            Assert.True(board.Machine.Memory.TryLoad(new Gpa(Page + (ulong)i), 1, out ulong value));
            read[i] = (byte)value;
        }

        return new Guid(read);
    }

    /// <summary>A device tree, with the board's next random numbers as rng-seed.</summary>
    private static string Tree(RiscVVirt board) => Convert.ToHexString(board.BuildDeviceTree());
}
