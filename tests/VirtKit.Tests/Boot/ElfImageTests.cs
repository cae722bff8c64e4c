using System.Buffers.Binary;
using VirtKit.Boot;

namespace VirtKit.Tests.Boot;

public sealed class ElfImageTests
{
    private const int First = ElfSample.ProgramHeaders + 56, Second = First + 56;

    [Fact]
    public void Load_TwoSegments_WritesContentAndZeroes()
    {
        AddressSpace memory = Filled();
        ElfImage image = ElfImage.Parse(ElfSample.Create(), ElfMachine.RiscV);
        image.Load(memory);
        byte[] loaded = new byte[0x1009];
        memory.Read(new Gpa(ElfSample.Physical), loaded);
        Assert.Equal(Enumerable.Range(1, 16).Select(i => (byte)i), loaded[..16]);
        Assert.All(loaded[16..64], b => Assert.Equal(0, b));
        Assert.All(loaded[64..0x1000], b => Assert.Equal(0xcc, b));
        Assert.Equal(Enumerable.Range(17, 8).Select(i => (byte)i), loaded[0x1000..0x1008]);
        Assert.Equal(0xcc, loaded[0x1008]);
        Assert.Equal(new Gpa(ElfSample.Physical + 4), image.Entry);
    }

    [Fact]
    public void TryFindSymbol_KnownAndUnknown_AnswersExactNames()
    {
        ElfImage image = ElfImage.Parse(ElfSample.Create(), ElfMachine.RiscV);
        Assert.True(image.TryFindSymbol("tohost", out Gva tohost));
        Assert.Equal(new Gva(ElfSample.ToHost), tohost);
        Assert.Equal(new Gpa(ElfSample.Physical + 0x40), image.ToPhysical(new Gva(ElfSample.Virtual + 0x40 - 1)) + 1);
        Assert.False(image.TryFindSymbol("host", out _) && image.TryFindSymbol("tohos", out _));
        Assert.False(image.TryFindSymbol("tohost2", out _));
    }

    [Fact]
    public void Parse_EveryTruncation_IsRefused()
    {
        byte[] file = ElfSample.Create();
        for (int length = 0; length < file.Length; length++)
        {
            byte[] cut = file[..length];
            Assert.Throws<InvalidImageException>(() => ElfImage.Parse(cut, ElfMachine.RiscV));
        }
    }

    [Theory]
    [InlineData(0, 0x00UL, 1, "Not an ELF file")]
    [InlineData(4, 1UL, 1, "Not a 64-bit little-endian")]
    [InlineData(5, 2UL, 1, "Not a 64-bit little-endian")]
    [InlineData(16, 1UL, 2, "not an executable")]
    [InlineData(18, 62UL, 2, "for machine 62, not for RiscV")]
    [InlineData(54, 55UL, 2, "unknown size or number")]
    [InlineData(56, 0xffffUL, 2, "unknown size or number")]
    [InlineData(56, 1UL, 2, "no loadable segment")]
    [InlineData(32, 0xffff_ffff_ffff_fff0UL, 8, "truncated: program headers")]
    [InlineData(40, 0x4a0UL, 8, "truncated: section headers")]
    [InlineData(First + 8, 0xffff_ffff_ffff_fff8UL, 8, "truncated: a segment")]
    [InlineData(First + 32, 65UL, 8, "65 bytes in the file and only 64")]
    [InlineData(ElfSample.Sections + 64 + 40, 3UL, 4, "symbol table is malformed")]
    [InlineData(ElfSample.Sections + 64 + 32, 0x1000UL, 8, "truncated: symbols")]
    public void Parse_DamagedField_IsRefusedWithItsReason(int offset, ulong value, int size, string reason)
    {
        byte[] file = Patched(offset, value, size);
        Assert.Contains(reason, Assert.Throws<InvalidImageException>(() => ElfImage.Parse(file, ElfMachine.RiscV)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(First + 24, 0x7fff_fff8UL, "does not lie in the machine's memory")]
    [InlineData(First + 24, 0xffff_ffff_ffff_fff8UL, "does not lie in the machine's memory")]
    [InlineData(First + 40, 0x8000_0000_0000_0000UL, "does not lie in the machine's memory")]
    [InlineData(First + 40, 0x1001UL, "overlaps")]
    [InlineData(Second + 24, 0x8001_0000UL, "does not lie in the machine's memory")]
    public void Load_RangeOutsideOrTwice_WritesNothing(int offset, ulong value, string reason)
    {
        AddressSpace memory = Filled();
        ElfImage image = ElfImage.Parse(Patched(offset, value, 8), ElfMachine.RiscV);
        Assert.Contains(reason, Assert.Throws<InvalidImageException>(() => image.Load(memory)).Message, StringComparison.Ordinal);
        Assert.True(memory.TryGetSpan(new Gpa(ElfSample.Physical), 0x10000, out Span<byte> ram));
        Assert.False(ram.ContainsAnyExcept((byte)0xcc));
    }

    [Fact]
    public void Load_OntoRom_FillsIt()
    {
        var memory = new AddressSpace();
        memory.MapRom(new Gpa(ElfSample.Physical), 0x2000);
        ElfImage.Parse(ElfSample.Create(), ElfMachine.RiscV).Load(memory);
        Assert.True(memory.TryRead(new Gpa(ElfSample.Physical), out ulong first));
        Assert.Equal(0x0807060504030201UL, first);
    }

    private static AddressSpace Filled()
    {
        var memory = new AddressSpace();
        memory.MapRam(new Gpa(ElfSample.Physical), 0x10000);
        Assert.True(memory.TryGetSpan(new Gpa(ElfSample.Physical), 0x10000, out Span<byte> ram));
        ram.Fill(0xcc);
        return memory;
    }

    private static byte[] Patched(int offset, ulong value, int size)
    {
        byte[] file = ElfSample.Create(), bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        bytes.AsSpan(0, size).CopyTo(file.AsSpan(offset));
        return file;
    }
}
