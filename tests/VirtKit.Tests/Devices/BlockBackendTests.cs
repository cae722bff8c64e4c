using VirtKit.Devices.Storage;

namespace VirtKit.Tests.Devices;

public sealed class BlockBackendTests
{
    private const int Length = 300 * 512;

    public static TheoryData<string> Kinds => ["memory", "file", "overlay-memory", "overlay-file"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Backend_RandomAccesses_AgreeWithAnArray(string kind)
    {
        string path = Path.GetTempFileName();
        try
        {
            byte[] model = new byte[Length];
            new Random(7).NextBytes(model);
            File.WriteAllBytes(path, model);
            using FileBlockBackend? file = kind.EndsWith("file", StringComparison.Ordinal)
                ? new FileBlockBackend(path, kind == "file" ? BlockAccess.ReadWrite : BlockAccess.ReadOnly) : null;
            IBlockBackend origin = file ?? (IBlockBackend)new MemoryBlockBackend((byte[])model.Clone());
            using OverlayBlockBackend? above = kind.StartsWith("overlay", StringComparison.Ordinal) ? new OverlayBlockBackend(origin) : null;
            IBlockBackend backend = above ?? origin;
            byte[] before = (byte[])model.Clone();
            var random = new Random(8);
            for (int i = 0; i < 500; i++)
            {
                int offset = random.Next(300) * 512, length = random.Next(1, 301 - offset / 512) * 512;
                byte[] bytes = new byte[length];
                switch (random.Next(3))
                {
                    case 0:
                        random.NextBytes(bytes);
                        backend.Write(offset, bytes);
                        bytes.CopyTo(model, offset);
                        break;
                    case 1:
                        backend.WriteZeroes(offset, length);
                        model.AsSpan(offset, length).Clear();
                        break;
                    default:
                        backend.Read(offset, bytes);
                        Assert.True(model.AsSpan(offset, length).SequenceEqual(bytes));
                        break;
                }
            }

            backend.Flush();
            if (backend is OverlayBlockBackend overlay)
            {
                byte[] below = new byte[Length], reverted = new byte[Length];
                origin.Read(0, below);
                Assert.Equal(before, below);
                overlay.Revert();
                overlay.Read(0, reverted);
                Assert.Equal(before, reverted);
            }
            else if (file is not null)
            {
                file.Dispose();
                Assert.Equal(model, File.ReadAllBytes(path));
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void File_MissingOrNotWholeSectors_SaysWhy()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, new byte[700]);
            Assert.Contains("700", Assert.Throws<VirtKitException>(() => new FileBlockBackend(path)).Message);
            Assert.Contains("cannot be opened", Assert.Throws<VirtKitException>(() => new FileBlockBackend(path + ".none")).Message);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
