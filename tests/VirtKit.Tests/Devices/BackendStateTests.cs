using System.Text;
using VirtKit.Devices;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.State;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>What waits for the guest outside of its devices is saved with these: input, frames, the blocks of an overlay.</summary>
public sealed class BackendStateTests
{
    private const int DiskSize = 300 << 10;

    public static TheoryData<string> Consoles => ["memory", "stream"];

    [Theory]
    [MemberData(nameof(Consoles))]
    public void Console_UnreadInput_GoesToAnotherOfAnyKind(string kind)
    {
        string text = string.Concat(Enumerable.Range(0, 2000).Select(i => (char)('a' + i % 26)));
        IConsoleBackend from = Console(kind, text);
        byte[] saved = StateWriter.Save((ISnapshotable)from);
        foreach (IConsoleBackend to in (IConsoleBackend[])[Console("memory", "what was there"), Console("stream", "what was there")])
        {
            StateReader.Restore((ISnapshotable)to, saved);
            Assert.Equal(text, ReadAll(to));
        }

        // Saving takes nothing away; a console without input drops what another had.
        Assert.Equal(text, ReadAll(from));
        StateReader.Restore(new NullConsole(), saved);
        Assert.Equal(StateWriter.Save(new NullConsole()), StateWriter.Save((ISnapshotable)from));
    }

    [Fact]
    public void SerialPort_WithInputBehindItsFifo_GivesAllOfItAfterARestore()
    {
        const string text = "a line that is longer than the sixteen bytes of the FIFO";
        var first = new MemoryConsole();
        using Ns16550A port = Port(first);
        first.Type(text);
        Assert.Equal(text[0], (char)Read(port));
        byte[] saved = StateWriter.Save(port);
        var second = new MemoryConsole();
        using Ns16550A other = Port(second);
        StateReader.Restore(other, saved);
        Assert.Equal(text[1..], string.Concat(Enumerable.Range(1, text.Length - 1).Select(_ => (char)Read(other))));
        Assert.Equal(0ul, other.Read(5, 1) & 1);

        static Ns16550A Port(MemoryConsole console)
        {
            var port = new Ns16550A(console, new TestClock(), default);
            port.Write(2, 1, 1);
            return port;
        }

        static byte Read(Ns16550A port)
        {
            Assert.Equal(1ul, port.Read(5, 1) & 1);
            return (byte)port.Read(0, 1);
        }
    }

    [Fact]
    public void NetworkPort_FramesThatWait_GoToAnotherAndAreAnnounced()
    {
        var cable = new NetworkSwitch();
        NetworkPort sender = cable.AddPort(), receiver = cable.AddPort();
        byte[][] frames = [.. Enumerable.Range(0, 5).Select(i => (byte[])[.. Enumerable.Repeat((byte)(0xff - 2 * i), 14 + i * 300)])];
        foreach (byte[] frame in frames)
            sender.Send(frame);
        byte[] saved = StateWriter.Save(receiver);
        NetworkPort other = new NetworkSwitch().AddPort();
        using var announced = new ManualResetEventSlim();
        other.FrameAvailable += announced.Set;
        StateReader.Restore(other, saved);
        Assert.True(announced.Wait(Hang.Limit, TestContext.Current.CancellationToken));
        byte[] buffer = new byte[INetworkBackend.MaximumFrameLength];
        foreach (byte[] frame in frames)
        {
            Assert.True(other.TryReceive(buffer, out int length));
            Assert.Equal(frame, buffer[..length]);
        }

        Assert.False(other.TryReceive(buffer, out _));
        Assert.Throws<InvalidSnapshotException>(() => StateReader.Restore(other, saved.AsMemory(..^1)));
    }

    /// <summary>With blocks in memory, in the file, and the short last one; restored over another overlay's own writes.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(70 << 10)]
    [InlineData(1 << 20)]
    public void Overlay_ItsBlocks_GoToAnotherOverTheSameDisk(int spillAfter)
    {
        Random random = Seed.Random();
        byte[] origin = new byte[DiskSize];
        random.NextBytes(origin);
        using var first = new OverlayBlockBackend(new MemoryBlockBackend(origin, BlockAccess.ReadOnly), spillAfter: spillAfter);
        using var second = new OverlayBlockBackend(new MemoryBlockBackend(origin, BlockAccess.ReadOnly));
        for (int round = 0; round < 20; round++)
        {
            Write(first);
            Write(second);
            byte[] saved = StateWriter.Save(first);
            StateReader.Restore(second, saved);
            Assert.Equal(Content(first), Content(second));
            Assert.Equal(first.BytesUsed, second.BytesUsed);
            Assert.Equal(saved, StateWriter.Save(second));
        }

        void Write(OverlayBlockBackend disk)
        {
            byte[] sector = new byte[512];
            random.NextBytes(sector);
            disk.Write(random.Next(DiskSize / 512) * 512L, sector);
        }
    }

    [Fact]
    public void Overlay_BlocksThatDoNotFit_AreRefusedAndChangeNothing()
    {
        using var first = new OverlayBlockBackend(new MemoryBlockBackend(DiskSize));
        first.WriteZeroes(0, DiskSize);
        byte[] saved = StateWriter.Save(first);
        using var small = new OverlayBlockBackend(new MemoryBlockBackend(DiskSize), limit: DiskSize - 512);
        small.Write(512, [.. Enumerable.Repeat((byte)7, 512)]);
        byte[] before = StateWriter.Save(small);
        Assert.Contains("limit", Assert.Throws<InvalidSnapshotException>(() => StateReader.Restore(small, saved)).Message, StringComparison.Ordinal);
        Assert.Equal(before, StateWriter.Save(small));
        using var other = new OverlayBlockBackend(new MemoryBlockBackend(DiskSize + 512));
        Assert.Contains("length", Assert.Throws<InvalidSnapshotException>(() => StateReader.Restore(other, saved)).Message, StringComparison.Ordinal);
        Random random = Seed.Random();
        int refused = 0;
        for (int i = 0; i < 300; i++)
        {
            byte[] damaged = [.. before];
            damaged[random.Next(Math.Min(200, damaged.Length))] ^= (byte)(1 << random.Next(8));
            try
            {
                StateReader.Restore(small, damaged);
                StateReader.Restore(small, before);
            }
            catch (InvalidSnapshotException)
            {
                refused++;
                Assert.Equal(before, StateWriter.Save(small));
            }
        }

        Assert.True(refused > 100, $"{refused} refused");
    }

    [Fact]
    public void VirtioBlock_OverAnOverlay_SavesItsBlocksAndOverMemoryDoesNot()
    {
        using var overlay = new OverlayBlockBackend(new MemoryBlockBackend(DiskSize));
        overlay.Write(0, [.. Enumerable.Repeat((byte)9, 512)]);
        Assert.True(Saved(overlay).Length > 60_000);
        byte[] plain = Saved(new MemoryBlockBackend(DiskSize));
        Assert.True(plain.Length < 1000);

        // A disk whose blocks were saved needs one that takes them; the other way about the host's disk is as it is.
        using var bare = new VirtioBlock(new MemoryBlockBackend(DiskSize));
        Assert.Contains("disk was saved", Assert.Throws<InvalidSnapshotException>(() => StateReader.Restore(bare, Saved(overlay))).Message, StringComparison.Ordinal);
        using var over = new VirtioBlock(overlay);
        StateReader.Restore(over, plain);
        Assert.Equal(65_536, overlay.BytesUsed);

        static byte[] Saved(IBlockBackend backend)
        {
            using var disk = new VirtioBlock(backend);
            return StateWriter.Save(disk);
        }
    }

    /// <summary>A machine's memory fits the file as it was: one that was written to since, by whomever, or is another one, is refused, also below an overlay.</summary>
    [Theory]
    [InlineData(BlockAccess.ReadWrite, false)]
    [InlineData(BlockAccess.ReadOnly, false)]
    [InlineData(BlockAccess.ReadOnly, true)]
    public void File_WrittenSince_IsRefused(BlockAccess access, bool overlaid)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "disk.img"), link = Path.Combine(folder.Path, "link.img");
        File.WriteAllBytes(path, new byte[DiskSize]);
        File.CreateSymbolicLink(link, path);
        byte[] saved = [];
        for (int round = 0; round < 20; round++)
        {
            With(path, disk =>
            {
                saved = StateWriter.Save(disk);
                StateReader.Restore(disk, saved);
                Assert.Equal(saved, StateWriter.Save(disk));
            });
            // The same file by another name, in another process perhaps.
            With(link, disk => StateReader.Restore(disk, saved));
            if (access == BlockAccess.ReadWrite)
                With(path, disk => ((IBlockBackend)disk).Write(0, new byte[512]));
            else
                WriteByOther();
            With(path, disk => Assert.Contains("has changed since", Assert.Throws<InvalidSnapshotException>(() => StateReader.Restore(disk, saved)).Message, StringComparison.Ordinal));
        }

        With(path, disk => StateReader.Restore(disk, saved), accepts: true);

        void WriteByOther()
        {
            // A file that is only read cannot be given a time of its own: a write in the same tick of the host's coarse clock is not seen.
            Thread.Sleep(20);
            using FileStream file = File.OpenWrite(path);
            file.Write(new byte[512]);
        }

        void With(string name, Action<ISnapshotable> action, bool accepts = false)
        {
            using var file = new FileBlockBackend(name, access) { AcceptsOtherContent = accepts };
            using OverlayBlockBackend? overlay = overlaid ? new OverlayBlockBackend(file) : null;
            action(overlay ?? (ISnapshotable)file);
        }
    }

    private static IConsoleBackend Console(string kind, string input)
    {
        if (kind == "memory")
        {
            var console = new MemoryConsole();
            console.Type(input);
            return console;
        }

        var stream = new StreamConsole(new MemoryStream(Encoding.ASCII.GetBytes(input)), Stream.Null);
        Assert.True(SpinWait.SpinUntil(() => StateWriter.Save(stream).Length == StateWriter.Save(new NullConsole()).Length + input.Length, Hang.Limit));
        return stream;
    }

    private static string ReadAll(IConsoleBackend console)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[100];
        while (console.Read(buffer) is > 0 and int count)
            text.Append(Encoding.ASCII.GetString(buffer, 0, count));
        return text.ToString();
    }

    private static byte[] Content(OverlayBlockBackend disk)
    {
        byte[] content = new byte[DiskSize];
        disk.Read(0, content);
        return content;
    }
}
