using VirtKit.Boot;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot;

/// <summary>Hostile files: whatever the bytes, a loader loads or throws <see cref="InvalidImageException"/>, leaves memory alone when it refuses, and
/// allocates no more than a multiple of the file.</summary>
public sealed class BootFuzzTests
{
    private const int Cases = 120_000, RamSize = 64 << 10;
    private const long AllocationLimit = 16 << 20;
    private static readonly Gpa Ram = new(0x8000_0000);

    [Fact]
    public void Elf_MutatedAndRandom_LoadsOrIsRefused() => Fuzz([ElfSample.Create(), ElfSample.Program("tohost-pass.elf"), ElfSample.Program("squarer.elf")], (file, memory) =>
    {
        ElfImage image = ElfImage.Parse(file, ElfMachine.RiscV);
        image.TryFindSymbol("tohost", out Gva value);
        image.ToPhysical(value);
        image.Load(memory);
    });

    [Fact]
    public void Linux_MutatedAndRandom_LoadsOrIsRefused()
    {
        byte[] plain = LinuxImageTests.Sample(textOffset: 0, size: 0x3000);
        Fuzz([plain, LinuxImageTests.Compressed(plain[..256]), LinuxImageTests.Compressed(new byte[1 << 20])], (file, memory) => LinuxImage.Parse(file).Load(memory, Ram));
    }

    [Fact]
    public void BzImage_MutatedAndRandom_LoadsOrIsRefused() =>
        Fuzz([BzImageSample.Create(BzImageSample.Lz4()), BzImageSample.Create(LinuxImageTests.Compressed(new byte[1000])), BzImageSample.Create([0x7f, 0x45, 0x4c, 0x46])], (file, memory) =>
        {
            BzImage image = BzImage.Parse(file);
            image.ExtractKernel();
            image.Load(memory, image.PreferredAddress);
        });

    [Fact]
    public void Pvh_MutatedAndRandom_EntryIsFoundOrNot()
    {
        // An ELF file whose segments are notes, one of which names a PVH entry.
        byte[] file = [.. ElfSample.Create(), 4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, (byte)'X', (byte)'e', (byte)'n', 0, 0, 0, 0, 1, 0, 0, 0, 0];
        int header = (int)BitConverter.ToUInt64(file, 32);
        BitConverter.GetBytes(4).CopyTo(file, header);
        BitConverter.GetBytes((ulong)file.Length - 24).CopyTo(file, header + 8);
        BitConverter.GetBytes(24ul).CopyTo(file, header + 32);
        Assert.True(PvhStartInfo.TryFindEntry(file, out Gpa entry));
        Assert.Equal(0x100_0000ul, entry.Value);
        Fuzz([file], (mutated, _) =>
        {
            if (!PvhStartInfo.TryFindEntry(mutated.Span, out Gpa _))
                throw new InvalidImageException("No entry.");
        });
    }

    [Fact]
    public void DeviceTree_MutatedAndRandom_ReadsOrIsRefused() => Fuzz([DeviceTreeTests.Sample()], (file, _) =>
    {
        DeviceTree tree = DeviceTree.Parse(file);
        foreach (DeviceTreeNode node in tree.Root.Descendants().Prepend(tree.Root))
        {
            foreach (DeviceTreeProperty property in node.Properties)
            {
                if (property.Value.Length % 4 == 0)
                    property.Cells();
                if (!property.Value.IsEmpty && property.Value.Span[^1] == 0)
                    property.Strings();
            }
        }
    });

    private static void Fuzz(byte[][] samples, Action<ReadOnlyMemory<byte>, AddressSpace> load)
    {
        Random random = Seed.Random();
        var memory = new AddressSpace();
        memory.MapRam(Ram, RamSize);
        Assert.True(memory.TryGetSpan(Ram, RamSize, out Span<byte> ram));
        int loaded = 0;
        for (int i = 0; i < Cases; i++)
        {
            byte[] file = Mutate(random, samples[random.Next(samples.Length)]);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                load(file, memory);
                loaded++;
                ram.Clear();
            }
            catch (InvalidImageException)
            {
                Assert.False(ram.ContainsAnyExcept((byte)0), $"Case {i}: memory was written although the file was refused.");
            }
            catch (Exception e)
            {
                Assert.Fail($"Case {i}: {e}\n{Convert.ToHexString(file)}");
            }

            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < AllocationLimit, $"Case {i}: too much was allocated.");
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{loaded} of {Cases} files loaded.");
        Assert.InRange(loaded, Cases / 1000, Cases);
    }

    private static byte[] Mutate(Random random, byte[] sample)
    {
        // One in 16 is noise behind the sample's first bytes, so that it gets past the magic number.
        byte[] file = [.. sample];
        if (random.Next(16) == 0)
        {
            file = new byte[random.Next(2048)];
            random.NextBytes(file);
            sample.AsSpan(0, Math.Min(random.Next(80), Math.Min(file.Length, sample.Length))).CopyTo(file);
            return file;
        }

        for (int count = random.Next(1, 6); count > 0 && file.Length > 0; count--)
        {
            // Headers decide most; half of the changes go there.
            int at = random.Next(2) == 0 ? random.Next(Math.Min(file.Length, 256)) : random.Next(file.Length);
            Span<byte> field = file.AsSpan(at & ~3)[..Math.Min(4, file.Length - (at & ~3))];
            switch (random.Next(6))
            {
                case 0:
                    file[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    file[at] = (byte)random.Next(256);
                    break;
                case 2:
                    field.Fill((byte)(random.Next(2) * 0xff));
                    break;
                case 3:
                    random.NextBytes(field);
                    break;
                case 4:
                    file.AsSpan(random.Next(file.Length - field.Length + 1), field.Length).CopyTo(field);
                    break;
                default:
                    file = file[..random.Next(file.Length + 1)];
                    break;
            }
        }

        return file;
    }
}
