using System.Buffers.Binary;
using System.IO.Compression;
using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot;

public sealed class LinuxImageTests
{
    private static readonly Gpa Ram = new(0x8000_0000);

    [Fact]
    public void Load_PlainImage_GoesToTheTextOffset()
    {
        AddressSpace memory = Memory(4 << 20);
        LinuxImage image = LinuxImage.Parse(Sample(textOffset: 2 << 20, size: 0x3000));
        Assert.False(image.IsEfiStub);
        Assert.Equal(0x3000UL, image.MemorySize);
        Assert.Equal(Ram + (2 << 20), image.Load(memory, Ram));
        byte[] loaded = new byte[image.Content.Length];
        memory.Read(Ram + (2 << 20), loaded);
        Assert.Equal(image.Content.ToArray(), loaded);
    }

    [Fact]
    public void Parse_Compressed_GivesTheSameImage()
    {
        byte[] plain = Sample(textOffset: 0, size: 0x3000);
        LinuxImage image = LinuxImage.Parse(Compressed(plain));
        Assert.Equal(plain, image.Content.ToArray());
    }

    [Fact]
    public void Parse_CompressedBeyondTheLimit_IsRefused()
    {
        byte[] bomb = Compressed(new byte[LinuxImage.MaxDecompressedSize + 1]);
        Assert.Contains("holds more than", Assert.Throws<InvalidImageException>(() => LinuxImage.Parse(bomb)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_DebiansOwnKernel_IsAnEfiStubImage()
    {
        LinuxImage image = LinuxImage.Parse(File.ReadAllBytes(Require.Debian(DebianGuest.RiscV64).Kernel));
        Assert.True(image.IsEfiStub);
        Assert.Equal(2UL << 20, image.TextOffset);
        Assert.True(image.MemorySize > (ulong)image.Content.Length);
    }

    [Fact]
    public void Parse_Truncated_IsRefused()
    {
        byte[] file = Sample(textOffset: 0, size: 0x3000), compressed = Compressed(file);
        for (int length = 0; length < 64; length++)
            Assert.Throws<InvalidImageException>(() => LinuxImage.Parse(file.AsMemory(0, length)));
        for (int length = 0; length < compressed.Length; length += 7)
            Assert.Throws<InvalidImageException>(() => LinuxImage.Parse(compressed.AsMemory(0, length)));
    }

    [Theory]
    [InlineData(56, 0UL, "magic")]
    [InlineData(32, 0x1_0000UL, "version 1.0")]
    [InlineData(24, 1UL, "big-endian")]
    [InlineData(8, 0x800UL, "multiple of the page size")]
    public void Parse_DamagedField_IsRefusedWithItsReason(int offset, ulong value, string reason)
    {
        byte[] file = Sample(textOffset: 0, size: 0x3000);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(offset), value);
        Assert.Contains(reason, Assert.Throws<InvalidImageException>(() => LinuxImage.Parse(file)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0UL, 0x10_0001UL)]
    [InlineData(0UL, ulong.MaxValue)]
    [InlineData(0xff000UL, 0x3000UL)]
    [InlineData(0xffff_ffff_ffff_f000UL, 0x3000UL)]
    [InlineData(0x7fff_f000UL, 0xffff_ffff_0000_1000UL)]
    public void Load_ClaimOutsideMemory_WritesNothing(ulong textOffset, ulong size)
    {
        AddressSpace memory = Memory(1 << 20);
        LinuxImage image = LinuxImage.Parse(Sample(textOffset, size));
        Assert.Throws<InvalidImageException>(() => image.Load(memory, Ram));
        Assert.True(memory.TryGetSpan(Ram, 1 << 20, out Span<byte> ram));
        Assert.False(ram.ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void Load_UnalignedStart_IsTheCallersMistake()
    {
        AddressSpace memory = Memory(8 << 20);
        LinuxImage image = LinuxImage.Parse(Sample(textOffset: 2 << 20, size: 0x3000));
        foreach (ulong offset in new ulong[] { 1, 0x1000, 1 << 20 })
            Assert.Equal("ramStart", Assert.Throws<ArgumentException>(() => image.Load(memory, Ram + offset)).ParamName);
        LinuxImage odd = LinuxImage.Parse(Sample(textOffset: 1 << 20, size: 0x3000));
        Assert.Contains("not a multiple of 2 MiB", Assert.Throws<InvalidImageException>(() => odd.Load(memory, Ram)).Message, StringComparison.Ordinal);
        Assert.Empty(memory.Loaded.Ranges);
    }

    [Fact]
    public void Parse_TruncatedEfiStub_IsRefusedAtEveryLength()
    {
        byte[] file = EfiStub();
        Assert.True(LinuxImage.Parse(file).IsEfiStub);
        for (int length = 0x44; length < file.Length; length++)
            Assert.Contains("truncated", Assert.Throws<InvalidImageException>(() => LinuxImage.Parse(file.AsMemory(0, length))).Message, StringComparison.Ordinal);
        byte[] compressed = Compressed(file[..^1]);
        Assert.Contains("truncated", Assert.Throws<InvalidImageException>(() => LinuxImage.Parse(compressed)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_TruncatedDebianKernel_IsRefused()
    {
        byte[] file = File.ReadAllBytes(Require.Debian(DebianGuest.RiscV64).Kernel);
        foreach (int length in new[] { 0x1000, file.Length / 2, file.Length - 1 })
            Assert.Contains("truncated", Assert.Throws<InvalidImageException>(() => LinuxImage.Parse(file.AsMemory(0, length))).Message, StringComparison.Ordinal);
        LinuxImage image = LinuxImage.Parse(file);
        Assert.StartsWith("6.", image.KernelVersion, StringComparison.Ordinal);
        Assert.Equal(1023, image.CommandLineLimit);
    }

    [Theory]
    [InlineData("Linux version 6.3.13-generic (builder@host)", "6.3.13-generic", 511)]
    [InlineData("Linux version 5.19.0 (b)", "5.19.0", 511)]
    [InlineData("Linux version 6.4.0 (b)", "6.4.0", 1023)]
    [InlineData("Linux version 6.12.117+deb13-riscv64 (b)", "6.12.117+deb13-riscv64", 1023)]
    [InlineData("Linux version 10.0 (b)", "10.0", 1023)]
    [InlineData("Linux version %s, Linux version 6.1.0 (b)", "6.1.0", 511)]
    [InlineData("Linux version 6.1.0", null, 1023)]
    [InlineData("no banner", null, 1023)]
    public void Parse_Banner_TellsVersionAndCommandLineLimit(string banner, string? version, int limit)
    {
        byte[] file = Sample(textOffset: 0, size: 0x3000);
        System.Text.Encoding.ASCII.GetBytes(banner + "\0").CopyTo(file, 0x800);
        LinuxImage image = LinuxImage.Parse(file);
        Assert.Equal((version, limit), (image.KernelVersion, image.CommandLineLimit));
    }

    /// <summary>The same with a PE header behind it, whose two sections end with the file.</summary>
    internal static byte[] EfiStub()
    {
        byte[] file = Sample(textOffset: 0, size: 0x3000);
        file.AsSpan(64, 0x200).Clear();
        "MZ"u8.CopyTo(file);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(60), 64);
        "PE\0\0"u8.CopyTo(file.AsSpan(64));
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(64 + 6), 2);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(64 + 20), 0xa0);
        foreach ((int index, uint start, uint size) in new[] { (0, 0x400u, 0x800u), (1, 0xc00u, (uint)file.Length - 0xc00) })
        {
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(64 + 24 + 0xa0 + index * 40 + 16), size);
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(64 + 24 + 0xa0 + index * 40 + 20), start);
        }

        return file;
    }

    internal static byte[] Sample(ulong textOffset, ulong size)
    {
        byte[] file = new byte[0x1000];
        new Random(1).NextBytes(file);
        Span<byte> header = file.AsSpan(0, 64);
        header.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], textOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(header[16..], size);
        BinaryPrimitives.WriteUInt32LittleEndian(header[32..], 2);
        "RISCV"u8.CopyTo(header[48..]);
        "RSC\x05"u8.CopyTo(header[56..]);
        return file;
    }

    internal static byte[] Compressed(byte[] content)
    {
        using var stream = new MemoryStream();
        using (var gzip = new GZipStream(stream, CompressionLevel.Fastest))
            gzip.Write(content);
        return stream.ToArray();
    }

    private static AddressSpace Memory(ulong size)
    {
        var memory = new AddressSpace();
        memory.MapRam(Ram, size);
        return memory;
    }
}
