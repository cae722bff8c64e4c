using System.Buffers.Binary;

namespace VirtKit.Boot;

/// <summary>What the file has beside its segments: sections, and the relocations of a position-independent executable.</summary>
public sealed partial class ElfImage
{
    private const int PositionIndependent = 3;
    private const uint DynamicSegment = 2, NoBits = 8;

    /// <summary>Whether it runs at any address, once its relocations are applied (<c>ET_DYN</c>).</summary>
    internal bool IsPositionIndependent => U16(_file.Span, 16) == PositionIndependent;

    /// <summary>Finds a section by name.</summary>
    /// <param name="name">Its name, <c>.debug_line</c>.</param>
    /// <param name="address">Its virtual address, 0 where it is not loaded.</param>
    /// <param name="content">Its bytes in the file, a view; empty where it has none.</param>
    /// <exception cref="InvalidImageException">The section headers refer to what lies outside of the file.</exception>
    internal bool TryFindSection(ReadOnlySpan<byte> name, out Gva address, out ReadOnlyMemory<byte> content)
    {
        (address, content) = (default, default);
        ReadOnlySpan<byte> header = _file.Span;
        int count = U16(header, 60), names = U16(header, 62);
        if (U64(header, 40) == 0 || names >= count)
            return false;
        ReadOnlySpan<byte> table = Slice(_file, U64(header, 40), (ulong)count * SectionHeaderSize, "section headers").Span;
        ReadOnlySpan<byte> strings = SectionContent(table[(names * SectionHeaderSize)..]).Span;
        for (; !table.IsEmpty; table = table[SectionHeaderSize..])
        {
            uint at = BinaryPrimitives.ReadUInt32LittleEndian(table);
            if (at > strings.Length || strings.Length - at <= name.Length || strings[(int)at + name.Length] != 0 || !strings[(int)at..].StartsWith(name))
                continue;
            address = new Gva(U64(table, 16));
            content = SectionContent(table);
            return true;
        }

        return false;
    }

    /// <summary>Finds the dynamic section's entries (gABI 4.1, chapter 5, "Dynamic Section").</summary>
    internal ReadOnlySpan<byte> Dynamic => TryFindSegment(DynamicSegment, out ReadOnlyMemory<byte> content) ? content.Span : default;

    private ReadOnlySpan<byte> ProgramHeaderTable => Slice(_file, U64(_file.Span, 32), (ulong)U16(_file.Span, 56) * ProgramHeaderSize, "program headers").Span;

    private ReadOnlyMemory<byte> SectionContent(ReadOnlySpan<byte> section) =>
        BinaryPrimitives.ReadUInt32LittleEndian(section[4..]) == NoBits ? default : Slice(_file, U64(section, 24), U64(section, 32), "a section");

    private bool TryFindSegment(uint type, out ReadOnlyMemory<byte> content)
    {
        for (ReadOnlySpan<byte> table = ProgramHeaderTable; !table.IsEmpty; table = table[ProgramHeaderSize..])
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(table) != type)
                continue;
            content = Slice(_file, U64(table, 8), U64(table, 32), "a segment");
            return true;
        }

        content = default;
        return false;
    }
}
