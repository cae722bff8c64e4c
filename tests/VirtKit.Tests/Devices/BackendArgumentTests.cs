using System.Text.RegularExpressions;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.Testing;

namespace VirtKit.Tests.Devices;

/// <summary>A host's mistake is refused by an exception that names the parameter, and changes nothing.</summary>
public sealed class BackendArgumentTests
{
    private static readonly Dictionary<string, (string Parameter, Action Call)> Mistakes = new()
    {
        ["memory disk of negative length"] = ("length", () => new MemoryBlockBackend(-512)),
        ["memory disk of no length"] = ("length", () => new MemoryBlockBackend(0)),
        ["memory disk of half a sector"] = ("length", () => new MemoryBlockBackend(700)),
        ["memory disk over nothing"] = ("bytes", () => new MemoryBlockBackend(Memory<byte>.Empty)),
        ["memory disk over half a sector"] = ("bytes", () => new MemoryBlockBackend(new byte[700])),
        ["memory disk of unknown access"] = ("access", () => new MemoryBlockBackend(new byte[512], (BlockAccess)7)),
        ["memory disk read before it"] = ("offset", () => Disk().Read(-512, new byte[512])),
        ["memory disk read past it"] = ("offset", () => Disk().Read(512, new byte[1024])),
        ["memory disk read far past it"] = ("offset", () => Disk().Read(1L << 32, new byte[512])),
        ["memory disk written past it"] = ("offset", () => Disk().Write(1024, new byte[512])),
        ["memory disk zeroed past it"] = ("offset", () => Disk().WriteZeroes(512, long.MaxValue)),
        ["memory disk zeroed backwards"] = ("length", () => Disk().WriteZeroes(512, -512)),
        ["memory disk discarded past it"] = ("offset", () => Disk().Discard(1024, 512)),
        ["overlay over nothing"] = ("origin", () => new OverlayBlockBackend(null!)),
        ["overlay of no limit"] = ("limit", () => new OverlayBlockBackend(Disk(), limit: 0)),
        ["overlay of negative memory"] = ("spillAfter", () => new OverlayBlockBackend(Disk(), spillAfter: -1)),
        ["overlay in no folder"] = ("folder", () => new OverlayBlockBackend(Disk(), folder: "")),
        ["overlay read past it"] = ("offset", () => new OverlayBlockBackend(Disk()).Read(1024, new byte[1])),
        ["overlay written past it"] = ("offset", () => new OverlayBlockBackend(Disk()).Write(1023, new byte[2])),
        ["overlay zeroed past it"] = ("offset", () => new OverlayBlockBackend(Disk()).WriteZeroes(long.MaxValue, 512)),
        ["overlay discarded before it"] = ("offset", () => new OverlayBlockBackend(Disk()).Discard(-1, 512)),
        ["file without a name"] = ("path", () => new FileBlockBackend("")),
        ["file null"] = ("path", () => new FileBlockBackend(null!)),
        ["file of unknown access"] = ("access", () => new FileBlockBackend("disk.img", (BlockAccess)7)),
        ["disk device over nothing"] = ("backend", () => new VirtioBlock(null!)),
        ["disk device with a long ID"] = ("id", () => new VirtioBlock(Disk(), new string('x', 21))),
        ["one disk in two devices"] = ("backend", () => Twice(Disk(), disk => new VirtioBlock(disk))),
        ["one port in two devices"] = ("backend", () => Twice(new NetworkSwitch().AddPort(), port => new VirtioNet(port, MacAddress.Local(1)))),
        ["interface with a group's address"] = ("address", () => new VirtioNet(new NetworkSwitch().AddPort(), new MacAddress(0x0100_0000_0000))),
        ["address of 49 bits"] = ("Value", () => new MacAddress(1ul << 48)),
        ["address set to 49 bits"] = ("Value", () => _ = MacAddress.Local(1) with { Value = 1ul << 48 }),
        ["address copied to 5 bytes"] = ("destination", () => MacAddress.Local(1).CopyTo(new byte[5])),
        ["port receives into little"] = ("frame", () => new NetworkSwitch().AddPort().TryReceive(new byte[100], out _)),
        ["stream console without output"] = ("output", () => new StreamConsole(null, null!)),
        ["stream console over closed output"] = ("output", () => new StreamConsole(null, Closed())),
        ["stream console over closed input"] = ("input", () => new StreamConsole(Closed(), Stream.Null)),
        ["stream console without a buffer"] = ("outputCapacity", () => new StreamConsole(null, Stream.Null, 0)),
        ["stream console of unknown policy"] = ("overflow", () => new StreamConsole(null, Stream.Null, 1, (ConsoleOverflow)7)),
        ["stream console flushed backwards"] = ("timeout", () => Streams().Flush(TimeSpan.FromSeconds(-2))),
        ["memory console without room"] = ("capacity", () => new MemoryConsole(0)),
        ["memory console of negative room"] = ("capacity", () => new MemoryConsole(-1)),
        ["memory console of unknown policy"] = ("overflow", () => new MemoryConsole(1, (ConsoleOverflow)7)),
        ["type null"] = ("text", () => new MemoryConsole().Type((string)null!)),
        ["wait for null"] = ("text", () => new MemoryConsole().WaitFor(null!, default)),
        ["wait backwards"] = ("timeout", () => new MemoryConsole().WaitFor("x", TimeSpan.FromSeconds(-1))),
        ["expect null"] = ("text", () => new MemoryConsole().ExpectAsync((string)null!, default)),
        ["expect nothing"] = ("text", () => new MemoryConsole().ExpectAsync("", default)),
        ["expect no pattern"] = ("pattern", () => new MemoryConsole().ExpectAsync((Regex)null!, default)),
        ["expect backwards"] = ("timeout", () => new MemoryConsole().ExpectAsync("x", TimeSpan.FromSeconds(-1)).GetAwaiter().GetResult()),
        ["send null"] = ("line", () => new MemoryConsole().SendLineAsync(null!).GetAwaiter().GetResult()),
        ["follow null"] = ("run", () => new MemoryConsole().Follow(null!)),
        ["SBI console over nothing"] = ("backend", () => new SbiConsole(null!, new TestClock())),
        ["shell on nothing"] = ("console", () => LinuxShell.OpenAsync(null!, default).GetAwaiter().GetResult()),
        ["shell opened backwards"] = ("timeout", () => LinuxShell.OpenAsync(new MemoryConsole(), TimeSpan.FromSeconds(-1)).GetAwaiter().GetResult()),
    };

    public static TheoryData<string> Names => [.. Mistakes.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Mistake_OfTheHost_NamesTheParameter(string mistake)
    {
        (string parameter, Action call) = Mistakes[mistake];
        Assert.Equal(parameter, Assert.ThrowsAny<ArgumentException>(call).ParamName);
    }

    [Fact]
    public void ReadOnlyDisk_Changed_IsRefused()
    {
        var disk = new MemoryBlockBackend(new byte[1024], BlockAccess.ReadOnly);
        Assert.Throws<InvalidOperationException>(() => disk.Write(0, new byte[512]));
        Assert.Throws<InvalidOperationException>(() => disk.WriteZeroes(0, 512));
        Assert.Throws<InvalidOperationException>(() => disk.Discard(0, 512));
    }

    [Fact]
    public void Backend_OfADisposedDevice_MayBeUsedAgain()
    {
        IBlockBackend disk = Disk();
        using NetworkPort port = new NetworkSwitch().AddPort();
        for (int i = 0; i < 3; i++)
        {
            using var block = new VirtioBlock(disk);
            using var net = new VirtioNet(port, MacAddress.Local(1));
        }
    }

    private static MemoryBlockBackend Disk() => new(1024);

    private static StreamConsole Streams() => new(null, Stream.Null);

    private static MemoryStream Closed()
    {
        var stream = new MemoryStream();
        stream.Dispose();
        return stream;
    }

    private static void Twice<T>(T backend, Func<T, VirtioDevice> create)
    {
        VirtioDevice first = create(backend);
        create(backend);
        GC.KeepAlive(first);
    }
}
