using System.Buffers.Binary;
using System.Text;
using VirtKit.Boot;
using VirtKit.Boot.Acpi;
using VirtKit.Boot.Linux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot;

/// <summary>Hostile files: whatever the bytes, a loader loads or throws <see cref="InvalidImageException"/>, leaves memory alone when it refuses, and takes no more time
/// and memory than its documented bound. <c>VIRTKIT_SOAK_SECONDS</c> makes each of these go on for that long.</summary>
public sealed class BootFuzzTests
{
    private const ulong Cases = 8_000;
    private const int RamSize = 64 << 10;
    private const long AllocationLimit = 16 << 20;
    private static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(1);
    private static readonly Gpa Ram = new(0x8000_0000);

    [Fact]
    public void Elf_MutatedAndRandom_LoadsOrIsRefused() => Fuzz(1, [ElfSample.Create(), ElfSample.Program("tohost-pass.elf"), ElfSample.Program("squarer.elf")], (file, memory) =>
    {
        ElfImage image = ElfImage.Parse(file, ElfMachine.RiscV);
        image.TryFindSymbol("tohost", out Gva value);
        image.TryFindSymbol(new Gva(image.Entry.Value), out ElfSymbol _);
        image.TryFindSymbol(image.ToPhysical(value) + 3, out ElfSymbol _);
        image.Load(memory);
    });

    [Fact]
    public void Linux_MutatedAndRandom_LoadsOrIsRefused()
    {
        byte[] plain = LinuxImageTests.Sample(textOffset: 0, size: 0x3000);
        Fuzz(2, [plain, LinuxImageTests.EfiStub(), LinuxImageTests.Compressed(plain[..256]), LinuxImageTests.Compressed(new byte[1 << 20])],
            (file, memory) => LinuxImage.Parse(file).Load(memory, Ram));
    }

    [Fact]
    public void BzImage_MutatedAndRandom_LoadsOrIsRefused() => Fuzz(3,
        [
            BzImageSample.Create(BzImageSample.Lz4()), BzImageSample.Create(LinuxImageTests.Compressed(new byte[1000])), BzImageSample.Create([0x7f, 0x45, 0x4c, 0x46]),
            BzImageSample.Create(ElfSample.Create(ElfMachine.X64, Ram)),
        ], (file, memory) =>
        {
            BzImage image = BzImage.Parse(file);
            if (image.Format == KernelCompression.None && image.Payload.Length > 100)
            {
                image.LoadExtracted(memory, Ram);
                return;
            }

            image.ExtractKernel();
            image.Load(memory, image.PreferredAddress);
        });

    [Fact]
    public void Lz4_MutatedAndRandom_IsDecompressedOrRefused() => Fuzz(4, [BzImageSample.Lz4()[..^4], [0x02, 0x21, 0x4c, 0x18, 4, 0, 0, 0, 0x10, 7, 1, 0]],
        (file, _) =>
        {
            if (!Lz4LegacyFile.IsLz4Legacy(file.Span))
                throw new InvalidImageException("Not LZ4.");
            Assert.InRange(Lz4LegacyFile.Decompress(file.Span, "The file", 1 << 20).Length, 0, 1 << 20);
        });

    [Fact]
    public void Gzip_MutatedAndRandom_IsDecompressedOrRefused() => Fuzz(5, [LinuxImageTests.Compressed(new byte[100]), LinuxImageTests.Compressed([.. Enumerable.Range(0, 2000).Select(i => (byte)(i * i))])],
        (file, _) => Assert.InRange(GzipFile.Decompress(file, "The file", 1 << 16).Length, 0, 1 << 16));

    [Fact]
    public void Pvh_MutatedAndRandom_EntryIsFoundOrNot()
    {
        byte[] file = PvhSample(Ram);
        Assert.True(PvhStartInfo.TryFindEntry(file, out Gpa entry));
        Assert.Equal(0x100_0000ul, entry.Value);
        Fuzz(6, [file], (mutated, _) =>
        {
            if (!PvhStartInfo.TryFindEntry(mutated.Span, out Gpa _))
                throw new InvalidImageException("No entry.");
        });
    }

    [Fact]
    public void DeviceTree_MutatedAndRandom_ReadsOrIsRefused() => Fuzz(7, [DeviceTreeTests.Sample()], (file, _) =>
    {
        DeviceTree tree = DeviceTree.Parse(file);
        tree.Find("/soc/serial@10000000");
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

    [Fact]
    public void Module_MutatedAndRandom_IsReadOrRefused()
    {
        using var folder = new TemporaryFolder();
        byte[] module = "\0license=GPL\0depends=second,third\0name=first\0"u8.ToArray();
        Fuzz(8, [module, LinuxImageTests.Compressed(module)], (file, _) =>
        {
            File.WriteAllBytes(folder.File("first.ko"), file.Span);
            Assert.Single(KernelModules.Open(folder.Path).Closure(["first"]));
        }, cases: Cases / 8);
    }

    /// <summary>Builders take what their caller has, checked or not: they refuse it as an argument, or write what its readers read.</summary>
    [Fact]
    public void Builders_RandomInput_WriteWellFormedFilesOrRefuse()
    {
        Random random = Seed.Usual(9);
        Func<ulong, bool> goesOn = Soak.While(done => done < Cases);
        for (ulong i = 0; goesOn(i); i++)
        {
            string[] names = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => RandomName(random))];
            Bounded((int)i, () =>
            {
                try
                {
                    var fdt = new FdtBuilder().BeginNode("");
                    foreach (string name in names)
                        fdt.Strings(name, names).Flag(name);
                    foreach (string name in names)
                        fdt.BeginNode(name);
                    foreach (string _ in names)
                        fdt.EndNode();
                    DeviceTree tree = DeviceTree.Parse(fdt.EndNode().ToArray());
                    Assert.Equal(names, tree.Root.Property(names[0])!.Strings());
                    Assert.Equal(names, tree.Root.Descendants().Select(node => node.Name));
                }
                catch (ArgumentException)
                {
                }

                try
                {
                    var aml = new AmlBuilder().BeginScope("_SB_");
                    foreach (string name in names)
                        aml.BeginDevice(name).NameEisaId("_HID", name).Name("_STR", name).NamePackage(name, new uint[random.Next(300)]);
                    foreach (string _ in names)
                        aml.End();
                    aml.End().ToArray();
                }
                catch (ArgumentException)
                {
                }

                try
                {
                    var archive = new CpioArchive();
                    foreach (string name in names)
                        archive.AddFile(string.Join('/', names.Append(name)), UnixFileMode.UserRead, Encoding.UTF8.GetBytes(name));
                    Assert.Equal(0, archive.ToArray().Length % 512);
                }
                catch (ArgumentException)
                {
                }
            });
        }
    }

    /// <summary>65,000 program headers that all name the same megabyte of notes: looking at each would take hours.</summary>
    [Fact]
    public void Pvh_ManyHeadersOfTheSameNotes_IsBoundedByTheFile()
    {
        const int headers = 65_000, notes = 1 << 20;
        byte[] file = new byte[64 + headers * 56 + notes];
        ElfSample.Create(ElfMachine.X64, new Gpa(0x10_0000)).AsSpan(0, 64).CopyTo(file);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(32), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(56), headers);
        for (int i = 0; i < headers; i++)
        {
            Span<byte> header = file.AsSpan(64 + i * 56, 56);
            BinaryPrimitives.WriteUInt32LittleEndian(header, 4);
            BinaryPrimitives.WriteUInt64LittleEndian(header[8..], 64 + headers * 56);
            BinaryPrimitives.WriteUInt64LittleEndian(header[32..], notes);
        }

        Bounded(0, () => Assert.False(PvhStartInfo.TryFindEntry(file, out _)));
    }

    /// <summary>The same for loadable segments: each of them is the whole file, at an address of its own.</summary>
    [Fact]
    public void Elf_ManySegmentsOfTheSameBytes_IsBoundedByMemory()
    {
        const int headers = 65_000;
        byte[] file = new byte[64 + headers * 56];
        ElfSample.Create().AsSpan(0, 64).CopyTo(file);
        file.AsSpan(40, 8).Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(24), Ram.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(32), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(56), headers);
        for (int i = 0; i < headers; i++)
        {
            Span<byte> header = file.AsSpan(64 + i * 56, 56);
            BinaryPrimitives.WriteUInt32LittleEndian(header, 1);
            BinaryPrimitives.WriteUInt64LittleEndian(header[16..], Ram.Value + (ulong)i * (uint)file.Length);
            BinaryPrimitives.WriteUInt64LittleEndian(header[24..], Ram.Value + (ulong)i * (uint)file.Length);
            BinaryPrimitives.WriteUInt64LittleEndian(header[32..], (ulong)file.Length);
            BinaryPrimitives.WriteUInt64LittleEndian(header[40..], (ulong)file.Length);
        }

        var memory = new AddressSpace();
        memory.MapRam(Ram, RamSize);
        Bounded(0, () => Assert.Throws<InvalidImageException>(() => ElfImage.Parse(file, ElfMachine.RiscV).Load(memory)), AllocationLimit * 4);
    }

    [Theory]
    [InlineData(2_000)]
    [InlineData(2_048)]
    [InlineData(20_000)]
    [InlineData(1_000_000)]
    public void Cpio_DeepPath_NeedsNoStackAndBoundedMemory(int depth)
    {
        string path = string.Join('/', Enumerable.Repeat("a", depth));
        Exception? error = null;
        var thread = new Thread(() => error = Record.Exception(() => Bounded(depth, () =>
        {
            var archive = new CpioArchive();
            // Linux takes 4,095 bytes of path, and with them 2,048 components of one letter.
            if (depth > 2_048)
            {
                Assert.Contains("longer than 4095 bytes", Assert.Throws<ArgumentException>(() => archive.AddFile(path, UnixFileMode.UserRead, [])).Message, StringComparison.Ordinal);
                return;
            }

            archive.AddFile(path, UnixFileMode.UserRead, "content"u8);
            Assert.InRange(archive.ToArray().Length, 4_000_000, 5_000_000);
        }, AllocationLimit * 4)), maxStackSize: 256 << 10);
        thread.Start();
        thread.Join();
        Assert.Null(error);
    }

    [Fact]
    public void Aml_DeepNesting_IsRefused()
    {
        var aml = new AmlBuilder();
        for (int i = 0; i < 32; i++)
            aml.BeginDevice("DEEP");
        Assert.Throws<InvalidOperationException>(() => aml.BeginDevice("DEEP"));
        Assert.Throws<InvalidOperationException>(() => aml.BeginScope("DEEP"));
    }

    internal static byte[] PvhSample(Gpa physical)
    {
        // An ELF file whose segments are notes, one of which names a PVH entry.
        byte[] file = [.. ElfSample.Create(ElfMachine.X64, physical), 4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, (byte)'X', (byte)'e', (byte)'n', 0, 0, 0, 0, 1, 0, 0, 0, 0];
        int header = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(32));
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(header), 4);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(header + 8), (ulong)file.Length - 24);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(header + 32), 24);
        return file;
    }

    private static string RandomName(Random random)
    {
        const string characters = "ABCDEF0123456789_@-,.abc/\0 ü…";
        return random.Next(8) switch
        {
            0 => "",
            1 => new string('x', random.Next(5000)),
            2 => "PNP0501",
            _ => string.Concat(Enumerable.Range(0, random.Next(2) == 0 ? 4 : random.Next(1, 12)).Select(_ => characters[random.Next(random.Next(3) == 0 ? characters.Length : 16)])),
        };
    }

    private static void Bounded(int number, Action action, long allocationLimit = AllocationLimit)
    {
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        TimeSpan time = ThreadTime.Now;
        action();
        Assert.True(ThreadTime.Now - time < TimeLimit, $"Case {number} took {ThreadTime.Now - time} of processor time.");
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        Assert.True(allocated < allocationLimit, $"Case {number} allocated {allocated} bytes.");
    }

    private static void Fuzz(int seed, byte[][] samples, Action<ReadOnlyMemory<byte>, AddressSpace> load, ulong cases = Cases)
    {
        Random random = Seed.Usual(seed);
        var memory = new AddressSpace();
        memory.MapRam(Ram, RamSize);
        Assert.True(memory.TryGetSpan(Ram, RamSize, out Span<byte> ram));
        ulong loaded = 0, done = 0;
        for (Func<ulong, bool> goesOn = Soak.While(i => i < cases); goesOn(done); done++)
        {
            byte[] file = Mutate(random, samples[random.Next(samples.Length)]);
            bool accepted = false;
            try
            {
                Bounded((int)done, () =>
                {
                    try
                    {
                        load(file, memory);
                        accepted = true;
                    }
                    catch (InvalidImageException)
                    {
                    }
                });
            }
            catch (Exception e)
            {
                Assert.Fail($"Case {done}: {e}\n{Convert.ToHexString(file)}");
            }

            if (!accepted)
                Assert.False(ram.ContainsAnyExcept((byte)0), $"Case {done}: memory was written although the file was refused.");
            Assert.True(accepted || memory.Loaded.Ranges.Count == 0, $"Case {done}: memory is claimed although the file was refused.");
            loaded += accepted ? 1u : 0;
            memory.Loaded.Clear();
            ram.Clear();
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{loaded} of {done} files loaded.");
        Assert.InRange(loaded, done / 1000, done);
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
