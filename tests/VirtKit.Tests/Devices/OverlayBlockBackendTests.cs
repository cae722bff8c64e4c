using VirtKit.Devices.Storage;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

[Collection(nameof(MemoryOfTheProcess))]
public sealed class OverlayBlockBackendTests
{
    private const int Block = 64 << 10;

    [Theory]
    [InlineData(0)]
    [InlineData(Block)]
    [InlineData(3 * Block + 1)]
    [InlineData(1 << 30)]
    public void Overlay_SpillsAfterAnyNumberOfBytes_ReadsWhatWasWritten(long spillAfter)
    {
        const int length = 9 * Block + 512;
        byte[] model = new byte[length];
        var random = new Random(11);
        random.NextBytes(model);
        byte[] below = (byte[])model.Clone();
        using var folder = new TemporaryFolder();
        using var overlay = new OverlayBlockBackend(new MemoryBlockBackend(below, BlockAccess.ReadOnly), spillAfter: spillAfter, folder: folder.Path);
        for (int round = 0; round < 2; round++)
        {
            for (int i = 0; i < 200; i++)
            {
                int offset = random.Next(length / 512) * 512, count = Math.Min(random.Next(1, 4 * Block), length - offset);
                byte[] bytes = new byte[count];
                random.NextBytes(bytes);
                if (i % 5 == 0)
                    bytes.AsSpan().Clear();
                if (i % 5 == 0)
                    overlay.WriteZeroes(offset, count);
                else
                    overlay.Write(offset, bytes);
                bytes.CopyTo(model, offset);
                byte[] all = new byte[length];
                overlay.Read(0, all);
                Assert.True(model.AsSpan().SequenceEqual(all));
            }

            Assert.Equal(length, overlay.BytesUsed);
            Assert.InRange(overlay.BytesUsed - overlay.BytesSpilled, Math.Min(length, spillAfter) - Block, spillAfter);
            // The file has no name, so nothing is left of a process that is killed.
            Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
            overlay.Revert();
            model = (byte[])below.Clone();
            Assert.Equal(0, overlay.BytesUsed);
        }
    }

    [Fact]
    public void Overlay_Full_FailsAndStaysWhole()
    {
        using var overlay = new OverlayBlockBackend(new MemoryBlockBackend(4 * Block), limit: 2 * Block, spillAfter: Block);
        byte[] bytes = [.. Enumerable.Repeat((byte)7, Block)];
        overlay.Write(0, bytes);
        overlay.Write(Block, bytes);
        Assert.Throws<IOException>(() => overlay.Write(2 * Block, bytes));
        Assert.Throws<IOException>(() => overlay.WriteZeroes(3 * Block, 512));
        overlay.Write(100, bytes);
        byte[] read = new byte[Block];
        overlay.Read(Block, read);
        Assert.Equal(bytes, read);
        overlay.Read(2 * Block, read);
        Assert.Equal(new byte[Block], read);
    }

    [Fact]
    public void Overlay_NoPlaceToSpillTo_IsAnIoError()
    {
        using var folder = new TemporaryFolder();
        using var overlay = new OverlayBlockBackend(new MemoryBlockBackend(4 * Block), spillAfter: Block, folder: folder.File("none"));
        overlay.Write(0, new byte[512]);
        Assert.ThrowsAny<IOException>(() => overlay.Write(Block, new byte[512]));
        // What is in memory still works.
        overlay.Write(0, new byte[512]);
        overlay.Dispose();
        Assert.Throws<ObjectDisposedException>(() => overlay.Read(0, new byte[512]));
        Assert.Throws<ObjectDisposedException>(() => overlay.Write(0, new byte[512]));
        Assert.Throws<ObjectDisposedException>(overlay.Revert);
    }

    [Fact]
    public void Overlay_OriginFails_KeepsNoBlock()
    {
        using var overlay = new OverlayBlockBackend(new FailingDisk());
        Assert.Throws<IOException>(() => overlay.Write(512, new byte[512]));
        Assert.Equal(0, overlay.BytesUsed);
        // A whole block needs nothing from below.
        overlay.Write(0, new byte[Block]);
        overlay.Read(0, new byte[Block]);
    }

    /// <summary>A guest that fills the disk takes a bounded part of the managed heap, however much it writes.</summary>
    [Fact]
    public void Overlay_FilledByAGuest_KeepsLittleManagedMemory()
    {
        const long written = 256 << 20;
        using var overlay = new OverlayBlockBackend(new FailingDisk(4L << 30), limit: written);
        byte[] bytes = new byte[1 << 20];
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (long at = 0; at < written; at += bytes.Length)
            overlay.Write(at, bytes);
        Assert.Throws<IOException>(() => overlay.Write(written, bytes));
        long kept = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.Equal(written, overlay.BytesUsed);
        Assert.True(kept < 64 << 20, $"{kept} bytes of managed memory are kept.");
        GC.KeepAlive(overlay);
    }

    private sealed class FailingDisk(long length = 1 << 20) : IBlockBackend
    {
        public long Length => length;

        public bool IsReadOnly => true;

        public void Read(long offset, Span<byte> destination) => throw new IOException("the disk below");

        public void Write(long offset, ReadOnlySpan<byte> source) => throw new InvalidOperationException();

        public void WriteZeroes(long offset, long length) => throw new InvalidOperationException();

        public void Discard(long offset, long length) => throw new InvalidOperationException();

        public void Flush() { }
    }
}
