using VirtKit.Devices;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Pc;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.RiscV;

namespace VirtKit.Tests.Devices.Support;

/// <summary>Every device of the library, for the tests that hold for all of them. A new device is one row.</summary>
internal static class DeviceCatalog
{
    private static readonly Dictionary<string, Func<Wiring, IDevice>> Devices = new()
    {
        ["uart"] = w => new Ns16550A(w.Console, w.Clock, w.Lines[0]),
        ["clint"] = w => new Aclint(w.Clock, w.Timebase, [w.Lines[0], w.Lines[1]], [w.Lines[2], w.Lines[3]]),
        ["plic"] = w => new Plic([w.Lines[0], w.Lines[1], w.Lines[2], w.Lines[3]]),
        ["test"] = _ => new TestFinisher(_ => { }, () => { }),
        ["rtc"] = w => new GoldfishRtc(w.Clock, w.Lines[0]),
        ["generation-id"] = w => new VirtualMachineGenerationId(new Guid("00112233-4455-6677-8899-aabbccddeeff"), w.Lines[0], null),
        ["virtio-empty"] = w => new VirtioMmio(new EmptySlot(), w.Memory, w.Clock, w.Lines[0]),
    };

    /// <summary>The devices of a PC, which no device tree describes.</summary>
    private static readonly Dictionary<string, Func<Wiring, IDevice>> PcDevices = new()
    {
        ["pic"] = w => new I8259(w.Lines[0]).Primary,
        ["pic-secondary"] = w => new I8259(w.Lines[0]).Secondary,
        ["elcr"] = w => new I8259(w.Lines[0]).EdgeLevel,
        ["pit"] = w => new I8254(w.Clock, w.Lines[0]),
        ["speaker"] = w => new I8254(w.Clock, w.Lines[0]).Speaker,
        ["cmos"] = w => new CmosRtc(w.Clock, w.Lines[0]),
        ["lapic"] = w => new LocalApics(w.Clock, [new ApicPins(w.Lines[0], w.Lines[1]), new ApicPins(w.Lines[2], w.Lines[3])])[0],
        ["ioapic"] = _ => new IoApic(_ => { }),
        ["debug-exit"] = _ => new DebugExitPort(_ => { }),
        ["reset"] = _ => new ResetPort(() => { }),
        ["keyboard-reset"] = _ => new KeyboardReset(() => { }),
        ["acpi-sleep"] = _ => new AcpiSleep(_ => { }),
    };

    private static readonly Dictionary<string, Func<Wiring, VirtioDevice>> VirtioDevices = new()
    {
        ["virtio-console"] = w => new VirtioConsole(w.Console),
        ["virtio-block"] = _ => new VirtioBlock(new OverlayBlockBackend(new MemoryBlockBackend(1 << 20))),
        ["virtio-block-readonly"] = _ => new VirtioBlock(new MemoryBlockBackend(new byte[1 << 16], BlockAccess.ReadOnly)),
        ["virtio-entropy"] = _ => new VirtioEntropy(bytes => bytes.Fill(0x5a)),
        ["virtio-net"] = w => new VirtioNet(w.Network, MacAddress.Local(1)),
    };

    public static TheoryData<string> Names => [.. Devices.Keys, .. PcDevices.Keys, .. VirtioDevices.Keys];

    public static TheoryData<string> NamesInDeviceTrees => [.. Devices.Keys, .. VirtioDevices.Keys];

    public static TheoryData<string> VirtioNames => [.. VirtioDevices.Keys];

    public static IDevice Create(string name, Wiring wiring) =>
        Devices.TryGetValue(name, out var create) || PcDevices.TryGetValue(name, out create) ? create(wiring) : new VirtioMmio(CreateVirtio(name, wiring), wiring.Memory, wiring.Clock, wiring.Lines[0]);

    public static VirtioDevice CreateVirtio(string name, Wiring wiring) => VirtioDevices[name](wiring);
}

/// <summary>What a device is wired to in a test: memory at 0x80000000, a clock, lines, and backends that are quiet unless told otherwise.</summary>
internal sealed class Wiring : IDisposable
{
    public Wiring() => Memory.MapRam(new Gpa(VirtioDriver.Ram), VirtioDriver.RamSize);

    /// <summary>That of a harness.</summary>
    public Wiring(DeviceHarness harness)
    {
        (Memory, Clock, Lines) = (harness.Memory, harness.Clock, harness.Lines);
        Memory.MapRam(new Gpa(VirtioDriver.Ram), VirtioDriver.RamSize);
    }

    public AddressSpace Memory { get; } = new();

    public TestClock Clock { get; init; } = new();

    public TestLines Lines { get; } = new();

    public RiscVTimebase Timebase => field ??= new RiscVTimebase(Clock, 10_000_000);

    public IConsoleBackend Console { get; init; } = new MemoryConsole(4096);

    public INetworkBackend Network { get; init; } = new NetworkSwitch().AddPort();

    public void Dispose() => Memory.Release();
}
