using VirtKit.Boot;
using VirtKit.Devices;
using VirtKit.Tests.Devices.Support;

namespace VirtKit.Tests.Devices;

/// <summary>What holds for every device.</summary>
public sealed class DeviceContractTests
{
    private const ulong Start = 0x1000_0000;

    public static TheoryData<string> Names => DeviceCatalog.Names;

    public static TheoryData<string> NamesInDeviceTrees => DeviceCatalog.NamesInDeviceTrees;

    [Fact]
    public void Catalog_OfDevices_HasEveryOneOfTheLibrary()
    {
        // A backend serves one device: each device has its own wiring.
        var covered = Names.Select(row => DeviceCatalog.Create(row.Data, new Wiring()).GetType()).ToHashSet();
        Assert.Subset(covered, typeof(Ns16550A).Assembly.GetTypes().Where(t => t is { IsClass: true, IsAbstract: false } && t.IsAssignableTo(typeof(IDevice))).ToHashSet());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Device_EveryOffsetAndWidth_IsAnsweredAsDeclared(string name)
    {
        using var wiring = new Wiring();
        IDevice device = DeviceCatalog.Create(name, wiring);
        wiring.Memory.Map(new Gpa(Start), device);
        wiring.Memory.DeviceFailed += (_, e) => Assert.Fail(e.ToString());
        DeviceWindow window = device.Window;
        foreach (int size in new[] { 1, 2, 4, 8 })
        {
            // A window of megabytes repeats itself: its first and last pages and every 61st access between them stand for the rest.
            for (ulong offset = 0; offset < window.Size; offset += offset is > 0x4000 and < 0x5f_0000 ? 61ul : 1)
            {
                bool expected = IsAnswered(window, offset, size);
                foreach (ulong value in new ulong[] { 0, 1, ulong.MaxValue })
                {
                    Assert.Equal(expected, wiring.Memory.TryStore(new Gpa(Start + offset), size, value));
                    Assert.Equal(expected, wiring.Memory.TryLoad(new Gpa(Start + offset), size, out ulong read));
                    Assert.True(size == 8 || read < 1ul << size * 8);
                }
            }
        }

        (device as IDisposable)?.Dispose();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Device_ResetOnceOrTwice_IsAsNewWithLinesDown(string name)
    {
        using var wiring = new Wiring();
        IDevice device = DeviceCatalog.Create(name, wiring);
        string atFirst = Registers(device);
        device.Reset();
        Assert.Equal(atFirst, Registers(device));
        var random = new Random(1);
        for (int i = 0; i < 2000; i++)
            Access(device, random);
        device.Reset();
        string once = Registers(device);
        Assert.Equal("", wiring.Lines.ToString());
        device.Reset();
        Assert.Equal(once, Registers(device));
        Assert.Equal(0, wiring.Clock.Pending);
        // What outlives a reset is held by DeviceResetTests.
        if (!name.StartsWith("virtio", StringComparison.Ordinal) && name is not ("uart" or "cmos" or "rtc"))
            Assert.Equal(atFirst, once);
        (device as IDisposable)?.Dispose();
    }

    [Theory]
    [MemberData(nameof(NamesInDeviceTrees))]
    public void Device_Description_NamesItsAddress(string name)
    {
        using var wiring = new Wiring();
        IDevice device = DeviceCatalog.Create(name, wiring);
        var node = Assert.IsType<IFdtNode>(device, exactMatch: false);
        var fdt = new FdtBuilder();
        fdt.BeginNode("");
        node.Describe(fdt, new FdtResources(new Gpa(Start), 1, 2));
        string blob = System.Text.Encoding.Latin1.GetString(fdt.EndNode().ToArray());
        Assert.Contains("@10000000", blob);
        Assert.Contains("compatible", blob);
        Assert.Contains("reg", blob);
    }

    private static bool IsAnswered(DeviceWindow window, ulong offset, int size)
    {
        bool aligned = offset % (ulong)size == 0 && offset + (ulong)size <= window.Size;
        int widths = (int)window.Widths, narrowest = widths & -widths;
        return (aligned && (widths & size) != 0) || window.Undeclared switch
        {
            UndeclaredAccess.Fault => false,
            UndeclaredAccess.Pad => aligned,
            // The first part is enough.
            _ => size > narrowest && offset % (ulong)narrowest == 0 && offset + (ulong)narrowest <= window.Size,
        };
    }

    internal static void Access(IDevice device, Random random)
    {
        DeviceWindow window = device.Window;
        int size;
        do
            size = 1 << random.Next(4);
        while (((int)window.Widths & size) == 0);
        // Registers crowd at the start of a window.
        ulong range = random.Next(4) == 0 ? window.Size : Math.Min(window.Size, 0x110);
        ulong offset = (ulong)random.NextInt64((long)range) & ~((ulong)size - 1);
        lock (device)
        {
            if (random.Next(2) == 0)
                device.Read(offset, size);
            else
                device.Write(offset, size, Value(random) & (size == 8 ? ulong.MaxValue : (1ul << size * 8) - 1));
        }
    }

    internal static ulong Value(Random random) => random.Next(5) switch
    {
        0 => 0,
        1 => ulong.MaxValue,
        2 => 1ul << random.Next(64),
        3 => (ulong)random.Next(32),
        _ => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
    };

    private static string Registers(IDevice device)
    {
        int size = ((int)device.Window.Widths & 4) != 0 ? 4 : (int)device.Window.Widths & -(int)device.Window.Widths;
        return string.Join(' ', Enumerable.Range(0, (int)Math.Min(device.Window.Size, 0x5000) / size).Select(i => device.Read((ulong)(i * size), size)));
    }
}
