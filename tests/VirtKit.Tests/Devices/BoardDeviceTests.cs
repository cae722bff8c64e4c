using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.RiscV;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Samples;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>Devices of the user's own on the boards.</summary>
public sealed class BoardDeviceTests
{
    private const int IoApicInputs = 24;

    [Fact]
    public void RiscVVirt_OwnDevices_StandWhereTheDeviceTreeSays()
    {
        using RiscVVirt board = RiscV(new RiscVVirtOptions
        {
            Devices =
            [
                ProbeDevice.OnBoard(interrupts: 1),
                ProbeDevice.OnBoard(interrupts: 2, size: 0x1800),
                new BoardDevice(slot => new ProbeDevice(8, slot.TakeInterrupt(40))) { Address = new Gpa(0x2000_0000) },
                ProbeDevice.OnBoard(interrupts: 0),
                new BoardDevice(slot => new VirtioMmio(new VirtioEntropy(bytes => bytes.Clear()), slot.Machine.Memory, slot.Machine.Clock, slot.TakeInterrupt())),
            ],
        });
        string dtc = Require.Program("dtc", "device-tree-compiler");
        Assert.Equal(
            [(0x400_0000ul, "12"), (0x400_2000, "13,14"), (0x2000_0000, "40"), (0x400_1000, ""), (0x400_4000, "15")],
            board.Devices.TakeLast(5).Select(d => (d.Address.Value, string.Join(',', d.Interrupts))));
        string source = System.Text.Encoding.ASCII.GetString(Tool.Run(dtc, board.BuildDeviceTree(), "-I", "dtb", "-O", "dts", "-W", "no-interrupt_provider"));
        Snapshot.Verify(string.Join('\n', source.Split("};").Where(node => node.Contains("example,probe", StringComparison.Ordinal)).Select(node => node[node.LastIndexOf("probe@", StringComparison.Ordinal)..].Trim())));
        Assert.Contains("virtio_mmio@4004000", source, StringComparison.Ordinal);
        foreach (AttachedDevice placed in board.Devices.TakeLast(5).Where(d => d.Device is ProbeDevice))
        {
            Assert.True(board.Machine.Memory.TryStore(placed.Address, 4, 5));
            Assert.Equal(5ul, placed.Device.Read(0, 4));
            foreach ((int input, InterruptLine line) in placed.Interrupts.Zip(((ProbeDevice)placed.Device).Lines))
                Assert.True(IsPendingInPlic(board, input, line));
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void RiscVVirt_OwnDevice_IsFoundByTheGuest(string engine)
    {
        var console = new MemoryConsole();
        using var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create(engine) },
            MemorySize = 32 << 20,
            Console = console,
            Devices = [ProbeDevice.OnBoard(), new BoardDevice(_ => new ProbeDevice()) { Address = new Gpa(0x3000_0000) }],
        });
        ElfImage guest = ElfImage.Parse(File.ReadAllBytes(SampleProgram.Guest("default.elf")), ElfMachine.RiscV);
        guest.Load(board.Machine.Memory);
        board.BootSupervisor(guest.Entry);
        Assert.Equal(ExitReason.Shutdown, board.Machine.Run().Reason);
        Assert.Contains("probe@4000000  example,probe\n", console.Output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        Assert.Contains("probe@30000000  example,probe\n", console.Output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

    [Fact]
    public void X64MicroVm_OwnDevices_StandWhereAcpiSays()
    {
        string iasl = Require.Program("iasl", "acpica-tools");
        using X64MicroVm board = X64(new X64MicroVmOptions
        {
            Devices = [ProbeDevice.OnBoard(interrupts: 2), new BoardDevice(slot => new ProbeDevice(8, slot.TakeInterrupt(10))) { Address = new Gpa(0xd000_0000) }],
            PortDevices = [ProbeDevice.OnBoard(interrupts: 1), new BoardDevice(_ => new ProbeDevice()) { Address = new Gpa(0x300) }],
        });
        Assert.Equal([(0xfd00_0000ul, "3,5"), (0xd000_0000, "10")], board.Devices.TakeLast(2).Select(d => (d.Address.Value, string.Join(',', d.Interrupts))));
        Assert.Equal([(0xc000ul, "6"), (0x300, "")], board.PortDevices.TakeLast(2).Select(d => (d.Address.Value, string.Join(',', d.Interrupts))));
        using var folder = new TemporaryFolder();
        byte[] tables = board.BuildAcpiTables();
        int dsdt = tables.AsSpan().IndexOf("DSDT"u8);
        File.WriteAllBytes(folder.File("dsdt.dat"), tables[dsdt..(dsdt + BitConverter.ToInt32(tables, dsdt + 4))]);
        Tool.Run(iasl, [], "-d", folder.File("dsdt.dat"));
        string source = File.ReadAllText(folder.File("dsdt.dsl"));
        int first = source.IndexOf("Device (D002)", StringComparison.Ordinal);
        Snapshot.Verify(string.Join("\n", source[first..].Split("Device (").Where(device => device.Contains("example,probe", StringComparison.Ordinal)).Select(device => "Device (" + device.Trim())));
        // What it decompiles to compiles again: the tables are whole.
        Tool.Run(iasl, [], "-p", folder.File("again"), folder.File("dsdt.dsl"));
        foreach (AttachedDevice placed in board.Devices.TakeLast(2))
            Assert.True(board.Machine.Memory.TryStore(placed.Address, 4, 5) && placed.Device.Read(0, 4) == 5);
        foreach (AttachedDevice placed in board.PortDevices.TakeLast(2))
            Assert.True(board.Machine.Ports!.TryStore(placed.Address, 4, 5) && placed.Device.Read(0, 4) == 5);
    }

    public static TheoryData<string, string> RefusedOnRiscVVirt => new()
    {
        { "overlap", "Devices[0]: probe at 0x10000004, 8 bytes, overlaps uart at 0x10000000" },
        { "ram", "overlaps ram at 0x80000000" },
        { "each other", "Devices[1]: probe at 0x20000000, 8 bytes, overlaps probe at 0x20000000" },
        { "unaligned", "Devices[0]: probe at 0x20000002 is not at a multiple of 4" },
        { "past the end", "Devices[0]: probe at 0xfffffffffffffffc, 8 bytes" },
        { "empty", "Devices[0]: probe at 0x4000000 is empty" },
        { "too long", "Devices[0]: no 67108864 free bytes for probe between 0x4000000 and 0x6000000; give it an address." },
        { "too many", "Devices[4]: no 8388608 free bytes for probe" },
        { "interrupt", "Devices[0]: interrupt input 10 is taken by the serial port." },
        { "interrupt of another", "Devices[1]: interrupt input 50 is taken by Devices[0]." },
        { "interrupt 0", "Devices[0]: interrupt inputs are 1 to 96, not 0." },
        { "interrupt 97", "Devices[0]: interrupt inputs are 1 to 96, not 97." },
        { "interrupts", "Devices[1]: no interrupt input of 12 to 96 is free." },
        { "null", "Devices[0]: its factory gave null." },
    };

    [Theory]
    [MemberData(nameof(RefusedOnRiscVVirt))]
    public void RiscVVirt_DeviceWithoutAPlace_IsRefusedByName(string what, string expected)
    {
        IReadOnlyList<BoardDevice> devices = what switch
        {
            "overlap" => [At(0x1000_0004)],
            "ram" => [At(0x8000_0000)],
            "each other" => [At(0x2000_0000), At(0x2000_0000)],
            "unaligned" => [At(0x2000_0002)],
            "past the end" => [At(ulong.MaxValue - 3)],
            "empty" => [ProbeDevice.OnBoard(size: 0)],
            "too long" => [ProbeDevice.OnBoard(size: 64 << 20)],
            "too many" => [.. Enumerable.Range(0, 5).Select(_ => ProbeDevice.OnBoard(size: 8 << 20))],
            "interrupt" => [Taking(10)],
            "interrupt of another" => [Taking(50), Taking(50)],
            "interrupt 0" => [Taking(0)],
            "interrupt 97" => [Taking(97)],
            "interrupts" => [ProbeDevice.OnBoard(interrupts: 85), ProbeDevice.OnBoard(interrupts: 1)],
            _ => [new BoardDevice(_ => null!)],
        };
        var error = Assert.Throws<ArgumentException>(() => RiscV(new RiscVVirtOptions { Devices = devices }));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Equal("options", error.ParamName);
    }

    [Theory]
    [InlineData(0xfee0_0010ul, false, "overlaps the local APICs at 0xfee00000")]
    [InlineData(0xfec0_0000ul, false, "overlaps the I/O APIC at 0xfec00000")]
    [InlineData(0x1_0000_0000ul, false, "Devices[0]: probe at 0x100000000, 8 bytes, reaches past 0x100000000.")]
    [InlineData(0xfffcul, true, "PortDevices[0]: probe at 0xfffc, 8 bytes, reaches past 0x10000.")]
    [InlineData(0x3f8ul, true, "PortDevices[0]: probe at 0x3f8, 8 bytes, overlaps uart at 0x3f8")]
    public void X64MicroVm_DeviceWithoutAPlace_IsRefusedByName(ulong address, bool port, string expected)
    {
        var error = Assert.Throws<ArgumentException>(() => X64(new X64MicroVmOptions { Devices = port ? [] : [At(address)], PortDevices = port ? [At(address)] : [] }));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void X64MicroVm_InterruptsAndPorts_AreLimited()
    {
        Assert.Contains("no interrupt input of 3 to 15 is free", Refused(ProbeDevice.OnBoard(interrupts: 12)), StringComparison.Ordinal);
        foreach ((int input, string owner) in ((int, string)[])[(0, "the PIT"), (2, "the second PIC"), (4, "the serial port"), (8, "the clock"), (23, "virtio slot 7")])
            Assert.Contains($"Devices[0]: interrupt input {input} is taken by {owner}.", Refused(Taking(input)), StringComparison.Ordinal);
        Assert.Contains($"0 to {IoApicInputs - 1}, not 24", Refused(Taking(IoApicInputs)), StringComparison.Ordinal);
        Assert.Contains("PortDevices[0]: probe has 256 addresses, and 255 are possible.",
            Assert.Throws<ArgumentException>(() => X64(new X64MicroVmOptions { PortDevices = [ProbeDevice.OnBoard(size: 256)] })).Message, StringComparison.Ordinal);

        static string Refused(BoardDevice device) => Assert.Throws<ArgumentException>(() => X64(new X64MicroVmOptions { Devices = [device] })).Message;
    }

    [Fact]
    public async Task Dispose_OfABoard_ReleasesTheDevicesThatItMade()
    {
        RiscVVirt riscv = RiscV(new RiscVVirtOptions { Devices = [ProbeDevice.OnBoard()] });
        X64MicroVm x64 = X64(new X64MicroVmOptions { Devices = [ProbeDevice.OnBoard()], PortDevices = [ProbeDevice.OnBoard()] });
        ProbeDevice[] devices = [.. riscv.Devices.Concat(x64.Devices).Concat(x64.PortDevices).Select(d => d.Device).OfType<ProbeDevice>()];
        await riscv.DisposeAsync();
        await x64.DisposeAsync();
        Assert.Equal(3, devices.Length);
        Assert.All(devices, device => Assert.True(device.IsDisposed));
        riscv.Dispose();
        x64.Dispose();
        Assert.Throws<ObjectDisposedException>(() => riscv.Machine.Run());
    }

    [Fact]
    public void Constructor_WithAFactoryThatThrows_ReleasesWhatItMade()
    {
        Machine? riscv = null, x64 = null;
        ProbeDevice? made = null;
        BoardDevice first = new(_ => made = new ProbeDevice());
        Assert.Throws<NotSupportedException>(() => RiscV(new RiscVVirtOptions { Devices = [first, Failing(machine => riscv = machine)] }));
        Assert.True(made!.IsDisposed);
        Assert.Throws<ObjectDisposedException>(() => riscv!.Run());
        Assert.Throws<NotSupportedException>(() => X64(new X64MicroVmOptions { Devices = [first], PortDevices = [Failing(machine => x64 = machine)] }));
        Assert.True(made.IsDisposed);
        Assert.Throws<ObjectDisposedException>(() => x64!.Run());

        static BoardDevice Failing(Action<Machine> seen) => new(slot =>
        {
            seen(slot.Machine);
            throw new NotSupportedException();
        });
    }

    [Fact]
    public void TakeInterrupt_OnceTheDeviceIsMade_IsRefused()
    {
        BoardSlot? slot = null;
        using RiscVVirt board = RiscV(new RiscVVirtOptions { Devices = [new BoardDevice(s => new ProbeDevice(8, (slot = s).TakeInterrupt()))] });
        Assert.Throws<InvalidOperationException>(() => slot!.TakeInterrupt());
        Assert.Throws<ArgumentNullException>(() => new BoardDevice(null!));
    }

    public static TheoryData<string> Members => ["Machine", "Machine.Architecture", "Console", "CommandLine", "Disks", "Disks[1]", "Networks", "Networks[0]", "VirtioDevices",
        "VirtioDevices[0]", "Devices", "Devices[0]", "PortDevices", "PortDevices[0]"];

    [Theory]
    [MemberData(nameof(Members))]
    public void Options_WithANullMember_AreRefusedByItsName(string member)
    {
        Check(() => RiscV(With(new RiscVVirtOptions()), keepsMachine: true), member.StartsWith("Port", StringComparison.Ordinal));
        Check(() => X64(With(new X64MicroVmOptions()), keepsMachine: true), isFree: false);

        void Check(Action build, bool isFree)
        {
            if (isFree)
                return;
            var error = Assert.Throws<ArgumentNullException>(build);
            Assert.StartsWith($"{member} is null.", error.Message, StringComparison.Ordinal);
            Assert.Equal("options", error.ParamName);
        }

        T With<T>(T options) where T : BoardOptions => member switch
        {
            "Machine" => options with { Machine = null! },
            "Machine.Architecture" => options with { Machine = new MachineOptions { Architecture = null! } },
            "Console" => options with { Console = null! },
            "CommandLine" => options with { CommandLine = null! },
            "Disks" => options with { Disks = null! },
            "Disks[1]" => options with { Disks = [new MemoryBlockBackend(512), null!] },
            "Networks" => options with { Networks = null! },
            "Networks[0]" => options with { Networks = [null!] },
            "VirtioDevices" => options with { VirtioDevices = null! },
            "VirtioDevices[0]" => options with { VirtioDevices = [null!] },
            "Devices" => options with { Devices = null! },
            "Devices[0]" => options with { Devices = [null!] },
            "PortDevices" => options is X64MicroVmOptions x64 ? (T)(BoardOptions)(x64 with { PortDevices = null! }) : options,
            _ => options is X64MicroVmOptions x64 ? (T)(BoardOptions)(x64 with { PortDevices = [null!] }) : options,
        };
    }

    [Fact]
    public void Options_OutOfRange_AreRefusedByName()
    {
        Assert.Contains("Devices has 1025 elements, and 1024 are possible.",
            Assert.Throws<ArgumentException>(() => RiscV(new RiscVVirtOptions { Devices = [.. Enumerable.Repeat(At(0), 1025)] })).Message, StringComparison.Ordinal);
        var networks = new NetworkSwitch();
        RiscVVirtOptions options = new() { Networks = [networks.AddPort(), networks.AddPort()], FirstMacAddress = new MacAddress((1ul << 48) - 1) };
        Assert.Contains("FirstMacAddress: an address has 48 bits", Assert.Throws<ArgumentException>(() => RiscV(options)).Message, StringComparison.Ordinal);
        RiscV(options with { FirstMacAddress = new MacAddress(0xfeff_ffff_fffe) }).Dispose();
    }

    [Fact]
    public void VirtioDevices_TheSameTwice_IsRefused()
    {
        var entropy = new VirtioEntropy(bytes => bytes.Clear());
        Assert.Contains("VirtioDevices has a device twice", Assert.Throws<ArgumentException>(() => RiscV(new RiscVVirtOptions { VirtioDevices = [entropy, entropy] })).Message,
            StringComparison.Ordinal);
    }

    private static BoardDevice At(ulong address) => new(_ => new ProbeDevice()) { Address = new Gpa(address) };

    private static BoardDevice Taking(int input) => new(slot => new ProbeDevice(8, slot.TakeInterrupt(input)));

    private static RiscVVirt RiscV(RiscVVirtOptions options, bool keepsMachine = false) =>
        new(keepsMachine ? options : options with { Machine = options.Machine with { Engine = new StateOnlyEngine() } });

    private static X64MicroVm X64(X64MicroVmOptions options, bool keepsMachine = false) =>
        new(keepsMachine ? options : options with { Machine = options.Machine with { Engine = new StateOnlyEngine() } });

    /// <summary>Whether asserting a line makes its source pending, and letting go of it before it is claimed leaves that so.</summary>
    private static bool IsPendingInPlic(RiscVVirt board, int source, InterruptLine line)
    {
        line.Set(true);
        line.Set(false);
        return board.Machine.Memory.TryLoad(new Gpa(0xc00_1000 + (ulong)source / 32 * 4), 4, out ulong pending) && (pending >> source % 32 & 1) != 0;
    }
}
