using VirtKit.Devices;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.RiscV;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Lifetime;

/// <summary>What a host gets wrong when it composes a machine is refused by the name of what is wrong.</summary>
public sealed class ArgumentTests
{
    public static TheoryData<string> Engines => LifetimeEngines.Names;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Pin_ThatTheVcpuDoesNotHave_IsRefused(string engine)
    {
        using Machine machine = LifetimeEngines.Compose(engine);
        int[] pins = machine.Architecture is RiscVArchitecture ? [1, 3, 5, 7, 9, 11] : [X64Pin.Intr, X64Pin.Nmi, X64Pin.Init, X64Pin.StartUp];
        Assert.Equal(pins, Enumerable.Range(-100, 300).Where(Has));
        Assert.False(Has(int.MinValue) || Has(int.MaxValue));

        bool Has(int pin)
        {
            try
            {
                machine.Vcpus[0].Pin(pin).Set(false);
                return true;
            }
            catch (ArgumentOutOfRangeException e)
            {
                Assert.Equal("pin", e.ParamName);
                return false;
            }
        }
    }

    [Fact]
    public void MachineOptions_WithNull_AreRefusedByTheMembersName()
    {
        Refused("options", nameof(MachineOptions.Architecture), () => _ = new Machine(new MachineOptions { Architecture = null! }));
        Refused("options", nameof(MachineOptions.Logger), () => _ = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Logger = null! }));
        Refused("options", "options", () => _ = new Machine(null!));
    }

    [Fact]
    public void Backend_OfAnotherBoard_IsRefusedByTheOptionsNameUntilThatIsDisposedOf()
    {
        var disk = new MemoryBlockBackend(512);
        NetworkPort port = new NetworkSwitch().AddPort();
        MemoryConsole serial = new(), console = new();
        Func<BoardOptions, BoardOptions>[] uses = [o => o with { Disks = [disk] }, o => o with { Networks = [port] }, o => o with { VirtioConsole = console }, o => o with { Console = serial }];
        string[] names = ["Disks[0]", "Networks[0]", "VirtioConsole", nameof(MemoryConsole)];
        RiscVVirt first = RiscV(o => uses.Aggregate(o, (options, use) => use(options)));
        for (int i = 0; i < uses.Length; i++)
        {
            Func<BoardOptions, BoardOptions> use = uses[i];
            foreach (Func<Func<BoardOptions, BoardOptions>, IDisposable> build in (Func<Func<BoardOptions, BoardOptions>, IDisposable>[])[RiscV, X64])
                Assert.Contains(names[i], Assert.Throws<ArgumentException>(() => build(use)).Message, StringComparison.Ordinal);
        }

        first.Dispose();
        foreach (Func<BoardOptions, BoardOptions> use in uses)
            X64(use).Dispose();
    }

    [Fact]
    public void Backend_TwiceOnOneBoard_IsRefused()
    {
        var disk = new MemoryBlockBackend(512);
        var console = new MemoryConsole();
        Assert.Contains("Disks[1]", Assert.Throws<ArgumentException>(() => RiscV(o => o with { Disks = [disk, disk] })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => RiscV(o => o with { Console = console, VirtioConsole = console }));
        // The boards that could not be made have let go of them.
        RiscV(o => o with { Disks = [disk], Console = console }).Dispose();
    }

    [Fact]
    public void Backend_OfADeviceThatIsGone_IsFree()
    {
        using var wiring = new Wiring();
        var disk = new MemoryBlockBackend(512);
        var first = new VirtioBlock(disk);
        Assert.Equal("backend", Assert.Throws<ArgumentException>(() => new VirtioBlock(disk)).ParamName);
        first.Dispose();
        first.Dispose();
        using var second = new VirtioBlock(disk);
        first.Dispose();
        Assert.Throws<ArgumentException>(() => new VirtioBlock(disk));
        var everybodys = new NullConsole();
        using Ns16550A one = new(everybodys, new TestClock(), default), other = new(everybodys, new TestClock(), default);
    }

    [Fact]
    public void VirtioDevice_WhoseTransportWasDisposedOf_GoesOntoAnother()
    {
        using var wiring = new Wiring();
        var device = new VirtioEntropy();
        var first = new VirtioMmio(device, wiring.Memory, wiring.Clock, default);
        Assert.Throws<InvalidOperationException>(() => new VirtioMmio(device, wiring.Memory, wiring.Clock, default));
        first.Dispose();
        using var second = new VirtioMmio(device, wiring.Memory, wiring.Clock, default);
        RiscVVirt board = RiscV(o => o);
        board.Dispose();
    }

    [Fact]
    public void Device_ThatFailsOnABackendsThread_StopsTheMachine()
    {
        var console = new ThrowingConsole();
        using RiscVVirt board = RiscV(o => o with { VirtioConsole = console });
        _ = new RaceDriver(board.Machine, board, 0, RiscVVirt.FirmwareAddress + 0x10_0000);
        console.Raise();
        VcpuExit exit = board.Machine.Run(TestContext.Current.CancellationToken);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Equal("Device virtio-console: the host's end", exit.Detail);
    }

    private static void Refused(string parameter, string member, Action build)
    {
        var error = Assert.ThrowsAny<ArgumentException>(build);
        Assert.Equal(parameter, error.ParamName);
        Assert.Contains(member, error.Message, StringComparison.Ordinal);
    }

    private static RiscVVirt RiscV(Func<BoardOptions, BoardOptions> change) =>
        new((RiscVVirtOptions)change(new RiscVVirtOptions { Machine = new MachineOptions { Architecture = new RiscVArchitecture(), Scheduling = VcpuScheduling.Deterministic } }));

    private static X64MicroVm X64(Func<BoardOptions, BoardOptions> change) =>
        new((X64MicroVmOptions)change(new X64MicroVmOptions { Machine = new MachineOptions { Architecture = new X64Architecture(), Engine = new StateOnlyEngine() } }));

    private sealed class ThrowingConsole : IConsoleBackend
    {
        public ConsoleSize Size => default;

        public event Action? Changed;

        public void Raise() => Changed?.Invoke();

        public int Write(ReadOnlySpan<byte> bytes) => bytes.Length;

        public int Read(Span<byte> buffer) => throw new NotSupportedException("the host's end");
    }
}
