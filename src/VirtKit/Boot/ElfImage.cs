using System.Buffers.Binary;
using System.Text;

namespace VirtKit.Boot;

/// <summary>An executable in ELF64, little-endian (System V gABI 4.1, chapters 4 and 5), that is loaded at its physical addresses: firmware, a bare-metal program.</summary>
/// <remarks>Immutable and thread-safe. It keeps a view of the file's bytes, which the caller does not change meanwhile. Relocations are not applied.</remarks>
public sealed class ElfImage
{
    private const int HeaderSize = 64, ProgramHeaderSize = 56, SectionHeaderSize = 64, SymbolSize = 24;
    private const uint LoadSegment = 1, SymbolTable = 2;
    private const int ExtendedCount = 0xffff;

    private readonly ElfSegment[] _segments;
    private readonly ReadOnlyMemory<byte> _symbols;
    private readonly ReadOnlyMemory<byte> _strings;

    private ElfImage(ElfMachine machine, Gva entry, ElfSegment[] segments, ReadOnlyMemory<byte> symbols, ReadOnlyMemory<byte> strings)
    {
        Machine = machine;
        _segments = segments;
        _symbols = symbols;
        _strings = strings;
        Entry = ToPhysical(entry);
    }

    /// <summary>The instruction set of the program.</summary>
    public ElfMachine Machine { get; }

    /// <summary>The physical address of the entry point: <c>e_entry</c>, moved as the segment that holds it is.</summary>
    public Gpa Entry { get; }

    /// <summary>The loadable segments, in the file's order.</summary>
    public IReadOnlyList<ElfSegment> Segments => _segments;

    /// <summary>Whether a file begins as an ELF file does; <see cref="Parse"/> may still refuse it.</summary>
    public static bool IsElf(ReadOnlySpan<byte> file) => file.StartsWith((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F']);

    /// <summary>Reads the headers and checks that everything they refer to lies inside the file.</summary>
    /// <param name="file">The whole file. It is not copied.</param>
    /// <param name="machine">The instruction set that the file has to be for.</param>
    /// <exception cref="InvalidImageException">Not such a file, truncated, or without a loadable segment.</exception>
    public static ElfImage Parse(ReadOnlyMemory<byte> file, ElfMachine machine)
    {
        ReadOnlySpan<byte> header = file.Span;
        if (header.Length < HeaderSize || !IsElf(header))
            throw new InvalidImageException("Not an ELF file.");
        if (header[4] != 2 || header[5] != 1 || header[6] != 1)
            throw new InvalidImageException("Not a 64-bit little-endian ELF file of version 1.");
        ushort type = U16(header, 16), actual = U16(header, 18);
        if (type is not (2 or 3))
            throw new InvalidImageException($"The ELF file is not an executable: its type is {type}.");
        if (actual != (ushort)machine)
            throw new InvalidImageException($"The ELF file is for machine {actual}, not for {machine} ({(ushort)machine}).");
        ElfSegment[] segments = ReadSegments(file);
        (ReadOnlyMemory<byte> symbols, ReadOnlyMemory<byte> strings) = ReadSymbolTable(file);
        return new ElfImage(machine, new Gva(U64(header, 24)), segments, symbols, strings);
    }

    /// <summary>Looks a symbol up by name. Takes time proportional to the size of the symbol table.</summary>
    /// <param name="name">The symbol, <c>tohost</c>.</param>
    /// <param name="value">Its value: a virtual address, see <see cref="ToPhysical"/>.</param>
    /// <returns>Whether the file has a symbol table that defines it.</returns>
    public bool TryFindSymbol(string name, out Gva value)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ReadOnlySpan<byte> symbols = _symbols.Span, strings = _strings.Span, wanted = Encoding.UTF8.GetBytes(name);
        for (int at = 0; at <= symbols.Length - SymbolSize; at += SymbolSize)
        {
            uint offset = BinaryPrimitives.ReadUInt32LittleEndian(symbols[at..]);
            bool defined = U16(symbols, at + 6) != 0;
            if (!defined || offset >= (uint)strings.Length)
                continue;
            ReadOnlySpan<byte> text = strings[(int)offset..];
            if (text.Length > wanted.Length && text[wanted.Length] == 0 && text.StartsWith(wanted))
            {
                value = new Gva(U64(symbols, at + 8));
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>The physical address that the segments give a virtual address; the same number where no segment holds it.</summary>
    public Gpa ToPhysical(Gva address)
    {
        foreach (ElfSegment segment in _segments)
        {
            ulong offset = address.Value - segment.VirtualAddress.Value;
            if (offset < segment.MemorySize)
                return segment.PhysicalAddress + offset;
        }

        return new Gpa(address.Value);
    }

    /// <summary>Writes the segments to their physical addresses and zeroes what the file does not fill.</summary>
    /// <param name="memory">The machine's memory; ROM is written, too.</param>
    /// <exception cref="InvalidImageException">A segment does not lie in memory or overlaps another; nothing has been written.</exception>
    public void Load(AddressSpace memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        var plan = new LoadPlan(memory);
        foreach (ElfSegment segment in _segments)
            plan.Add("An ELF segment", segment.PhysicalAddress, segment.Content, segment.MemorySize, LoadPlan.Remainder.Zeroed);
        plan.Commit();
    }

    private static ElfSegment[] ReadSegments(ReadOnlyMemory<byte> file)
    {
        ReadOnlySpan<byte> header = file.Span;
        int count = U16(header, 56);
        if (count == ExtendedCount || (count > 0 && U16(header, 54) != ProgramHeaderSize))
            throw new InvalidImageException("The ELF file's program headers have an unknown size or number.");
        ReadOnlySpan<byte> table = Slice(file, U64(header, 32), (ulong)count * ProgramHeaderSize, "program headers").Span;
        var segments = new List<ElfSegment>();
        for (; !table.IsEmpty; table = table[ProgramHeaderSize..])
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(table) != LoadSegment)
                continue;
            ulong fileSize = U64(table, 32), memorySize = U64(table, 40);
            if (fileSize > memorySize)
                throw new InvalidImageException($"An ELF segment has {fileSize} bytes in the file and only {memorySize} in memory.");
            ReadOnlyMemory<byte> content = fileSize == 0 ? default : Slice(file, U64(table, 8), fileSize, "a segment");
            segments.Add(new ElfSegment(new Gva(U64(table, 16)), new Gpa(U64(table, 24)), content, memorySize,
                (ElfAccess)(BinaryPrimitives.ReadUInt32LittleEndian(table[4..]) & 7)));
        }

        return segments.Count > 0 ? [.. segments] : throw new InvalidImageException("The ELF file has no loadable segment.");
    }

    /// <summary>The first symbol table with its strings; empty where the file was stripped.</summary>
    private static (ReadOnlyMemory<byte> Symbols, ReadOnlyMemory<byte> Strings) ReadSymbolTable(ReadOnlyMemory<byte> file)
    {
        ReadOnlySpan<byte> header = file.Span;
        ulong offset = U64(header, 40);
        int count = U16(header, 60);
        if (offset == 0 || count == 0)
            return default;
        if (U16(header, 58) != SectionHeaderSize)
            throw new InvalidImageException("The ELF file's section headers have an unknown size.");
        ReadOnlySpan<byte> table = Slice(file, offset, (ulong)count * SectionHeaderSize, "section headers").Span;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> section = table.Slice(i * SectionHeaderSize, SectionHeaderSize);
            if (BinaryPrimitives.ReadUInt32LittleEndian(section[4..]) != SymbolTable)
                continue;
            uint link = BinaryPrimitives.ReadUInt32LittleEndian(section[40..]);
            if (link >= (uint)count || U64(section, 56) != SymbolSize)
                throw new InvalidImageException("The ELF file's symbol table is malformed.");
            ReadOnlySpan<byte> strings = table.Slice((int)link * SectionHeaderSize, SectionHeaderSize);
            return (Slice(file, U64(section, 24), U64(section, 32), "symbols"), Slice(file, U64(strings, 24), U64(strings, 32), "symbol names"));
        }

        return default;
    }

    private static ReadOnlyMemory<byte> Slice(ReadOnlyMemory<byte> file, ulong offset, ulong size, string what)
    {
        if (offset > (ulong)file.Length || size > (ulong)file.Length - offset)
            throw new InvalidImageException($"The ELF file is truncated: {what} at {offset}, {size} bytes, of a file of {file.Length} bytes.");
        return file.Slice((int)offset, (int)size);
    }

    private static ushort U16(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[offset..]);

    private static ulong U64(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[offset..]);
}
