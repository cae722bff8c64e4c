using System.Buffers.Binary;
using VirtKit.Boot;
using VirtKit.Tests.Support;

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

    [Theory]
    [InlineData(ElfSample.Virtual, "start")]
    [InlineData(ElfSample.Virtual + 0x3f, "start+0x3f")]
    [InlineData(ElfSample.Virtual - 1, null)]
    [InlineData(ElfSample.ToHost, null)] // behind the segment
    [InlineData(ElfSample.Virtual + 0x1000, null)] // a segment without symbols
    [InlineData(0UL, null)]
    [InlineData(ulong.MaxValue, null)]
    public void TryFindSymbol_Address_NamesTheSymbolThatCoversIt(ulong address, string? expected)
    {
        ElfImage image = ElfImage.Parse(ElfSample.Create(), ElfMachine.RiscV);
        Assert.Equal(expected, image.TryFindSymbol(new Gva(address), out ElfSymbol symbol) ? symbol.ToString() : null);
        if (address - ElfSample.Virtual < 64)
        {
            Assert.True(image.TryFindSymbol(image.ToPhysical(new Gva(address)), out ElfSymbol physical));
            Assert.Equal(symbol, physical);
        }
    }

    [Fact]
    public void TryFindSymbol_AddressInProgram_IsWhatTheToolSays()
    {
        string compiler = Require.Program("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"), nm = Require.Program("riscv64-linux-gnu-nm", "binutils-riscv64-linux-gnu");
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("p.c"), "int data[100] = {1}; static __attribute__((noinline)) int local(int x) { return x * data[x]; } int other(int x) { return x + 1; } void _start(void) { for (;;) other(local(other(1))); }");
        Tool.Run(compiler, [], "-O0", "-nostdlib", "-static", "-Wl,--build-id=none", "-o", folder.File("p.elf"), folder.File("p.c"));
        ElfImage image = ElfImage.Parse(File.ReadAllBytes(folder.File("p.elf")), ElfMachine.RiscV);
        string[][] functions = [.. System.Text.Encoding.ASCII.GetString(Tool.Run(nm, [], "-S", folder.File("p.elf"))).Split('\n')
            .Select(line => line.Split(' ')).Where(words => words.Length == 4)];
        Assert.Equal(["_start", "data", "local", "other"], functions.Select(words => words[3]).Order(StringComparer.Ordinal));
        foreach (string[] words in functions)
        {
            ulong start = Convert.ToUInt64(words[0], 16), size = Convert.ToUInt64(words[1], 16);
            Assert.True(image.TryFindSymbol(new Gva(start + size - 1), out ElfSymbol symbol));
            Assert.Equal((words[3], new Gva(start), size - 1), (symbol.Name, symbol.Address, symbol.Offset));
        }
    }

    [Fact]
    public void Load_TwicePlusReset_IsRefusedUntilTheReset()
    {
        AddressSpace memory = Filled();
        ElfImage image = ElfImage.Parse(ElfSample.Create(), ElfMachine.RiscV);
        image.Load(memory);
        LoadOverlapException error = Assert.Throws<LoadOverlapException>(() => image.Load(memory));
        Assert.Equal(("segment 0 of the ELF file", "segment 0 of the ELF file"), (error.Wanted?.Name, error.Taken?.Name));
        memory.Loaded.Clear();
        image.Load(memory);
        Assert.Equal(2, memory.Loaded.Ranges.Count);
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
    [InlineData(4, 1UL, 1, "Not a 64-bit little-endian ELF file of version 1: it is a 32-bit one")]
    [InlineData(5, 2UL, 1, "Not a 64-bit little-endian ELF file of version 1: it is big-endian")]
    [InlineData(6, 2UL, 1, "its version 2")]
    [InlineData(24, 0UL, 8, "entry point, 0x0, lies in none of its segments")]
    [InlineData(24, ElfSample.Virtual + 64, 8, "lies in none of its segments")]
    [InlineData(24, ElfSample.Virtual - 1, 8, "lies in none of its segments")]
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
