using System.Buffers.Binary;
using VirtKit.Boot;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Boot;

public sealed class BzImageTests
{
    [Fact]
    public void Parse_Sample_ReadsItsHeader()
    {
        BzImage image = BzImage.Parse(BzImageSample.Create(BzImageSample.Lz4()));
        Assert.Equal((0x20f, "6.1.0-test", 2047u, 0x8000_0000ul, 0x4000ul, KernelCompression.Lz4),
            (image.ProtocolVersion, image.KernelVersion, image.CommandLineLimit, image.PreferredAddress.Value, image.MemorySize, image.Format));
    }

    [Fact]
    public void ExtractKernel_Lz4WithOverlappingMatch_IsRepeated()
    {
        byte[] kernel = BzImage.Parse(BzImageSample.Create(BzImageSample.Lz4())).ExtractKernel();
        Assert.Equal(320, kernel.Length);
        Assert.All(Enumerable.Range(20, 300), i => Assert.Equal((byte)(16 + i % 4), kernel[i]));
    }

    [Fact]
    public void ExtractKernel_Lz4ByTheTool_IsTheSame()
    {
        string lz4 = Require.Program("lz4", "lz4");
        byte[] content = new byte[300_000];
        var random = new Random(1);
        for (int i = 0; i < content.Length; i++)
            content[i] = (byte)(random.Next(4) == 0 ? random.Next(256) : i >> 5);
        byte[] payload = [.. Tool.Run(lz4, content, "-l", "-9", "-c"), .. BitConverter.GetBytes(content.Length)];
        Assert.Equal(content, BzImage.Parse(BzImageSample.Create(payload)).ExtractKernel());
    }

    [Fact]
    public void ExtractKernel_Gzip_IsDecompressed()
    {
        byte[] content = [.. Enumerable.Range(0, 1000).Select(i => (byte)(i / 7))];
        Assert.Equal(content, BzImage.Parse(BzImageSample.Create(LinuxImageTests.Compressed(content))).ExtractKernel());
    }

    [Theory]
    [InlineData("fd377a585a00", "xz")]
    [InlineData("28b52ffd0000", "zstd")]
    [InlineData("425a68390000", "bzip2")]
    [InlineData("5d0000800000", "lzma")]
    [InlineData("894c5a4f0000", "lzo")]
    public void ExtractKernel_OtherMethods_AreRefusedByName(string start, string name)
    {
        BzImage image = BzImage.Parse(BzImageSample.Create(Convert.FromHexString(start)));
        Assert.Contains(name, Assert.Throws<InvalidImageException>(image.ExtractKernel).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x206, 0x0b, "2.11")]
    [InlineData(0x236, 0, "64-bit")]
    [InlineData(0x24b, 0x7f, "payload")]
    [InlineData(0x1f6, 1, "truncated")]
    [InlineData(0x201, 0, "header")]
    public void Parse_BrokenField_IsRefusedWithItsReason(int offset, byte value, string reason)
    {
        byte[] file = BzImageSample.Create([1, 2, 3]);
        file[offset] = value;
        if (offset == 0x206)
            file[0x207] = 2;
        Assert.Contains(reason, Assert.Throws<InvalidImageException>(() => BzImage.Parse(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_CutAnywhere_IsRefused()
    {
        byte[] file = BzImageSample.Create([1, 2, 3]);
        for (int length = 0; length < file.Length; length++)
            Assert.Throws<InvalidImageException>(() => BzImage.Parse(file.AsMemory(0, length)));
    }

    [Fact]
    public void ZeroPage_EveryField_StandsWhereTheProtocolSays()
    {
        BzImage image = BzImage.Parse(BzImageSample.Create([1]));
        byte[] page = new LinuxZeroPage
        {
            SetupHeader = image.SetupHeader,
            MemoryMap = [new(new Gpa(0), 0x9fc00, MemoryMapKind.Usable), new(new Gpa(0xe0000), 0x20000, MemoryMapKind.Reserved)],
            CommandLine = new Gpa(0x2_0000),
            Initrd = new Gpa(0x1_2345_6000),
            InitrdSize = 0x1_0000_0001,
            Rsdp = new Gpa(0xe0000),
        }.ToArray();
        Assert.Equal((0xe0000ul, 2, 0x2_0000u, 0x2345_6000u, 1u, 1u, 1u, (byte)0xff), (BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(0x70)), page[0x1e8],
            U32(0x228), U32(0x218), U32(0xc0), U32(0x21c), U32(0xc4), page[0x210]));
        Assert.Equal((0xe0000u, 0x20000u, 2u), (U32(0x2e4), U32(0x2ec), U32(0x2f4)));
        Assert.Equal(0x5372_6448u, U32(0x202));

        uint U32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(offset));
    }
}
