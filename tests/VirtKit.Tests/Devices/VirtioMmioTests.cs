using VirtKit.Devices.Consoles;
using VirtKit.Devices.Virtio;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class VirtioMmioTests
{
    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheSpecificationSays()
    {
        using var wiring = new Wiring();
        var console = new MemoryConsole();
        using var device = new VirtioConsole(console);
        using var transport = new VirtioMmio(device, wiring.Memory, wiring.Clock, wiring.Lines[1]);
        using var script = new DeviceHarness(transport, wiring.Lines);
        script.Note("identification");
        script.Read("MagicValue", 0x000, 4);
        script.Read("Version", 0x004, 4);
        script.Read("DeviceID", 0x008, 4);
        script.Read("VendorID", 0x00c, 4);
        script.Read("MagicValue", 0x000, 1);
        script.Note("features in two halves");
        script.Read("DeviceFeatures", 0x010, 4);
        script.Write("DeviceFeatSel", 0x014, 4, 1);
        script.Read("DeviceFeatures", 0x010, 4);
        script.Write("DeviceFeatSel", 0x014, 4, 2);
        script.Read("DeviceFeatures", 0x010, 4);
        script.Note("FEATURES_OK is refused without VERSION_1 and with a bit that is not offered");
        script.Write("Status", 0x070, 4, 0x03);
        script.Write("Status", 0x070, 4, 0x0b);
        script.Read("Status", 0x070, 4);
        script.Write("DriverFeatSel", 0x024, 4, 1);
        script.Write("DriverFeatures", 0x020, 4, 0x3);
        script.Write("Status", 0x070, 4, 0x0b);
        script.Read("Status", 0x070, 4);
        script.Write("DriverFeatures", 0x020, 4, 0x1);
        script.Write("Status", 0x070, 4, 0x0b);
        script.Read("Status", 0x070, 4);
        script.Note("queues: the size has to be a power of two, the parts in memory");
        script.Read("QueueNumMax", 0x034, 4);
        script.Write("QueueSel", 0x030, 4, 2);
        script.Read("QueueNumMax", 0x034, 4);
        script.Write("QueueSel", 0x030, 4, 1);
        script.Write("QueueNum", 0x038, 4, 8);
        script.Write("QueueDescLow", 0x080, 4, 0x8000_0000);
        script.Write("QueueDrvLow", 0x090, 4, 0x8000_1000);
        script.Write("QueueDevLow", 0x0a0, 4, 0x8000_2000);
        script.Write("QueueReady", 0x044, 4, 1);
        script.Read("QueueReady", 0x044, 4);
        script.Write("QueueReady", 0x044, 4, 0);
        script.Read("QueueReady", 0x044, 4);
        script.Note("configuration: any width; a change counts and interrupts once the driver runs");
        script.Write("Status", 0x070, 4, 0x0f);
        script.Read("ConfigGen", 0x0fc, 4);
        script.Event("resize to 80 x 25", () => console.Resize(new ConsoleSize(80, 25)));
        script.Read("InterruptStat", 0x060, 4);
        script.Write("InterruptACK", 0x064, 4, 2);
        script.Read("ConfigGen", 0x0fc, 4);
        script.Read("cols", 0x100, 2);
        script.Read("rows", 0x102, 1);
        script.Read("cols, rows", 0x100, 4);
        script.Read("whole", 0x100, 8);
        script.Read("past the end", 0x10c, 4);
        script.Write("emerg_wr", 0x108, 4, '!');
        script.Note("what is not there");
        script.Read("SHMLenLow", 0x0b0, 4);
        script.Read("QueueReset", 0x0c0, 4);
        script.Note("a queue outside memory: the device needs a reset, and says so");
        script.Write("QueueNum", 0x038, 4, 8);
        script.Write("QueueDescLow", 0x080, 4, 0x10);
        script.Write("QueueReady", 0x044, 4, 1);
        script.Read("Status", 0x070, 4);
        script.Read("InterruptStat", 0x060, 4);
        script.Write("Status", 0x070, 4, 0);
        script.Read("Status", 0x070, 4);
        script.Note("output: " + console.Output);
        Snapshot.Verify(script.Transcript);
    }

    public static TheoryData<string> VirtioNames => DeviceCatalog.VirtioNames;

    [Theory]
    [MemberData(nameof(VirtioNames))]
    public void Device_SeenByItsDriver_IsAsReviewed(string name)
    {
        using var wiring = new Wiring();
        IDevice device = DeviceCatalog.Create(name, wiring);
        using var script = new DeviceHarness(device, wiring.Lines);
        script.Read("DeviceID", 0x008, 4);
        script.Read("DeviceFeatures", 0x010, 4);
        script.Write("DeviceFeatSel", 0x014, 4, 1);
        script.Read("DeviceFeatures", 0x010, 4);
        for (ulong queue = 0; queue < 3; queue++)
        {
            script.Write("QueueSel", 0x030, 4, queue);
            script.Read("QueueNumMax", 0x034, 4);
        }

        script.Note("configuration space");
        for (ulong offset = 0x100; offset < 0x140; offset += 4)
            script.Read("Config", offset, 4);
        Snapshot.Verify(script.Transcript, name);
        (device as IDisposable)?.Dispose();
    }

    [Fact]
    public void EmptySlot_DeviceId_IsZero()
    {
        using var driver = new VirtioDriver(new EmptySlot());
        Assert.Equal(0x7472_6976u, driver.Get(0));
        Assert.Equal(0u, driver.Get(8));
    }

    [Fact]
    public void Device_AttachedTwice_IsRefused()
    {
        using var wiring = new Wiring();
        var device = new VirtioEntropy();
        using var first = new VirtioMmio(device, wiring.Memory, wiring.Clock, default);
        Assert.Throws<InvalidOperationException>(() => new VirtioMmio(device, wiring.Memory, wiring.Clock, default));
    }
}
