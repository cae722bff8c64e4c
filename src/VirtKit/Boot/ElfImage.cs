using System.Buffers.Binary;

namespace VirtKit.Boot;

/// <summary>An executable in ELF64, little-endian (System V gABI 4.1, chapters 4 and 5), that is loaded at its physical addresses: firmware, a bare-metal program.</summary>
/// <remarks>Immutable and thread-safe. It keeps a view of the file's bytes, which the caller does not change meanwhile. Relocations are not applied.</remarks>
/// <example>
/// <code>
/// ElfImage guest = ElfImage.Parse(File.ReadAllBytes("guest.elf"), ElfMachine.RiscV);
/// guest.Load(board.Machine.Memory);
/// board.BootSupervisor(guest.Entry);
/// VcpuExit exit = board.Machine.Run(budget: 1_000_000);
/// if (exit.FirstTrap is { } trap &amp;&amp; guest.TryFindSymbol(trap.Pc, out ElfSymbol symbol))
///     Console.WriteLine(symbol);
/// </code>
/// </example>
public sealed partial class ElfImage
{
    private const int HeaderSize = 64, ProgramHeaderSize = 56, SectionHeaderSize = 64;
    private const uint LoadSegment = 1, SymbolTable = 2;
    private const int ExtendedCount = 0xffff;

    private readonly ReadOnlyMemory<byte> _file;
    private readonly ElfSegment[] _segments;
    private readonly ElfSymbolTable _symbols;

    private ElfImage(ReadOnlyMemory<byte> file, ElfMachine machine, Gva entry, ElfSegment[] segments, ElfSymbolTable symbols)
    {
        _file = file;
        Machine = machine;
        _segments = segments;
        _symbols = symbols;
        Entry = ToPhysical(entry);
    }

    /// <summary>The instruction set of the program.</summary>
    public ElfMachine Machine { get; }

    /// <summary>The physical address of the entry point: <c>e_entry</c>, moved as the segment that holds it is. A file whose entry is a physical address already, as an
    /// x86 kernel's, has it unmoved.</summary>
    public Gpa Entry { get; }

    /// <summary>The loadable segments, in the file's order.</summary>
    public IReadOnlyList<ElfSegment> Segments => _segments;

    /// <summary>Whether a file begins as an ELF file does; <see cref="Parse"/> may still refuse it.</summary>
    public static bool IsElf(ReadOnlySpan<byte> file) => file.StartsWith((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F']);

    /// <summary>Reads the headers and checks that everything they refer to lies inside the file.</summary>
    /// <param name="file">The whole file. It is not copied.</param>
    /// <param name="machine">The instruction set that the file has to be for.</param>
    /// <exception cref="InvalidImageException">Not such a file, truncated, without a loadable segment, or with an entry point outside all of them.</exception>
    /// <remarks>Time and memory are proportional to the file's length.</remarks>
    public static ElfImage Parse(ReadOnlyMemory<byte> file, ElfMachine machine) => ParseProgram(file, machine, mustBegin: true);

    /// <param name="mustBegin">Whether it has to have an entry point; a file whose functions are called by name may have none, which is 0 (gABI 4.1, "ELF Header").</param>
    internal static ElfImage ParseProgram(ReadOnlyMemory<byte> file, ElfMachine machine, bool mustBegin)
    {
        ReadOnlySpan<byte> header = file.Span;
        if (!IsElf(header))
            throw new InvalidImageException("Not an ELF file.");
        if (header.Length < HeaderSize)
            throw new InvalidImageException($"The ELF file is truncated: it has {header.Length} bytes, fewer than its header.");
        if (header[4] != 2 || header[5] != 1 || header[6] != 1)
            throw new InvalidImageException("Not a 64-bit little-endian ELF file of version 1: " + (header[4], header[5]) switch
            {
                (1, _) => "it is a 32-bit one.",
                (_, 2) => "it is big-endian.",
                _ => $"its class is {header[4]}, its byte order {header[5]}, its version {header[6]}.",
            });
        ushort type = U16(header, 16), actual = U16(header, 18);
        if (type is not (2 or 3))
            throw new InvalidImageException($"The ELF file is not an executable: its type is {type}.");
        if (actual != (ushort)machine)
            throw new InvalidImageException($"The ELF file is for machine {actual}, not for {machine} ({(ushort)machine}).");
        ElfSegment[] segments = ReadSegments(file);
        ulong entry = U64(header, 24);
        if (!Contain(segments, entry) && (mustBegin || entry != 0))
            throw new InvalidImageException($"The ELF file's entry point, 0x{entry:x}, lies in none of its segments.");
        return new ElfImage(file, machine, new Gva(entry), segments, ReadSymbolTable(file));
    }

    /// <summary>Looks a symbol up by name. Takes time proportional to the size of the symbol table.</summary>
    /// <param name="name">The symbol, <c>tohost</c>.</param>
    /// <param name="value">Its value: a virtual address, see <see cref="ToPhysical"/>.</param>
    /// <returns>Whether the file has a symbol table that defines it.</returns>
    public bool TryFindSymbol(string name, out Gva value)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return _symbols.TryFind(name, out value);
    }

    /// <summary>Names an address: the symbol that it lies in, or behind where the symbol has no size, as assembly labels have none.</summary>
    /// <param name="address">A virtual address, such as a trap's pc.</param>
    /// <param name="symbol">The symbol and how far behind its start the address lies.</param>
    /// <returns>Whether the address lies in a segment and a symbol of the file covers it.</returns>
    /// <remarks>The first call sorts the symbol table; the others take time proportional to the logarithm of its size.</remarks>
    public bool TryFindSymbol(Gva address, out ElfSymbol symbol)
    {
        foreach (ElfSegment segment in _segments)
        {
            if (address.Value - segment.VirtualAddress.Value < segment.MemorySize)
                return _symbols.TryFind(address, segment.VirtualAddress, out symbol);
        }

        symbol = default;
        return false;
    }

    /// <summary>Names a physical address, as a guest without paging has them.</summary>
    /// <inheritdoc cref="TryFindSymbol(Gva, out ElfSymbol)"/>
    public bool TryFindSymbol(Gpa address, out ElfSymbol symbol)
    {
        foreach (ElfSegment segment in _segments)
        {
            ulong offset = address - segment.PhysicalAddress;
            if (offset < segment.MemorySize)
                return _symbols.TryFind(new Gva(segment.VirtualAddress.Value + offset), segment.VirtualAddress, out symbol);
        }

        symbol = default;
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

    /// <summary>Writes the segments to their physical addresses and zeroes what the file does not fill. Time is proportional to the memory that the segments take.</summary>
    /// <param name="memory">The machine's memory; ROM is written, too.</param>
    /// <exception cref="InvalidImageException">A segment does not lie in memory or overlaps another; nothing has been written.</exception>
    /// <exception cref="LoadOverlapException">A segment overlaps what is loaded already; nothing has been written.</exception>
    public void Load(AddressSpace memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        Plan(memory).Commit();
    }

    /// <summary>Loads a kernel, which claims memory between and behind its segments, too: at least <paramref name="size"/> bytes from its first one on.</summary>
    internal void Load(AddressSpace memory, string name, Gpa lowest, ulong size)
    {
        ElfSegment[] used = Array.FindAll(_segments, segment => segment.MemorySize > 0);
        if (used.Length == 0)
            throw new InvalidImageException("All segments of the ELF file are empty.");
        // A segment past the end of the address space makes nonsense of these, and is refused before they are used.
        Gpa start = used.Min(segment => segment.PhysicalAddress), last = used.Max(segment => segment.PhysicalAddress + (segment.MemorySize - 1));
        var whole = new LoadedRange(name, start, Math.Max(size, last - start + 1));
        if (start < lowest)
            throw new InvalidImageException($"{whole.ToSentenceStart()}, does not lie above {lowest}.");
        Plan(memory).Commit(whole);
    }

    private LoadPlan Plan(AddressSpace memory)
    {
        var plan = new LoadPlan(memory);
        for (int i = 0; i < _segments.Length; i++)
            plan.Add($"segment {i} of the ELF file", _segments[i].PhysicalAddress, _segments[i].Content, _segments[i].MemorySize, LoadPlan.Remainder.Zeroed);
        return plan;
    }

    private static ElfSegment[] ReadSegments(ReadOnlyMemory<byte> file)
    {
        ReadOnlySpan<byte> header = file.Span;
        int count = U16(header, 56);
        if (count == ExtendedCount || (count > 0 && U16(header, 54) != ProgramHeaderSize))
            throw new InvalidImageException("The ELF file's program headers have an unknown size or number.");
        ReadOnlySpan<byte> table = Slice(file, U64(header, 32), (ulong)count * ProgramHeaderSize, "program headers").Span;
        var segments = new ElfSegment[count];
        int loadable = 0;
        for (; !table.IsEmpty; table = table[ProgramHeaderSize..])
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(table) != LoadSegment)
                continue;
            ulong fileSize = U64(table, 32), memorySize = U64(table, 40);
            if (fileSize > memorySize)
                throw new InvalidImageException($"An ELF segment has {fileSize} bytes in the file and only {memorySize} in memory.");
            ReadOnlyMemory<byte> content = fileSize == 0 ? default : Slice(file, U64(table, 8), fileSize, "a segment");
            segments[loadable++] = new ElfSegment(new Gva(U64(table, 16)), new Gpa(U64(table, 24)), content, memorySize,
                (ElfAccess)(BinaryPrimitives.ReadUInt32LittleEndian(table[4..]) & 7));
        }

        if (loadable == 0)
            throw new InvalidImageException("The ELF file has no loadable segment.");
        Array.Resize(ref segments, loadable);
        return segments;
    }

    /// <summary>Whether an entry point lies in one of the segments, by its virtual or its physical address.</summary>
    private static bool Contain(ElfSegment[] segments, ulong entry)
    {
        foreach (ElfSegment segment in segments)
        {
            if (entry - segment.VirtualAddress.Value < segment.MemorySize || entry - segment.PhysicalAddress.Value < segment.MemorySize)
                return true;
        }

        return false;
    }

    /// <summary>The first symbol table with its strings; empty where the file was stripped.</summary>
    private static ElfSymbolTable ReadSymbolTable(ReadOnlyMemory<byte> file)
    {
        ReadOnlySpan<byte> header = file.Span;
        ulong offset = U64(header, 40);
        int count = U16(header, 60);
        if (offset == 0 || count == 0)
            return ElfSymbolTable.Empty;
        if (U16(header, 58) != SectionHeaderSize)
            throw new InvalidImageException("The ELF file's section headers have an unknown size.");
        ReadOnlySpan<byte> table = Slice(file, offset, (ulong)count * SectionHeaderSize, "section headers").Span;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> section = table.Slice(i * SectionHeaderSize, SectionHeaderSize);
            if (BinaryPrimitives.ReadUInt32LittleEndian(section[4..]) != SymbolTable)
                continue;
            uint link = BinaryPrimitives.ReadUInt32LittleEndian(section[40..]);
            if (link >= (uint)count || U64(section, 56) != ElfSymbolTable.SymbolSize)
                throw new InvalidImageException("The ELF file's symbol table is malformed.");
            ReadOnlySpan<byte> strings = table.Slice((int)link * SectionHeaderSize, SectionHeaderSize);
            return new ElfSymbolTable(Slice(file, U64(section, 24), U64(section, 32), "symbols"), Slice(file, U64(strings, 24), U64(strings, 32), "symbol names"));
        }

        return ElfSymbolTable.Empty;
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
