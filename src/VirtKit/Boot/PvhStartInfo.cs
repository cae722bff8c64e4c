using System.Buffers.Binary;

namespace VirtKit.Boot;

/// <summary>The structure that a kernel finds when it is started by the PVH protocol, with what it points to (Xen's arch-x86/hvm/start_info.h, version 1).</summary>
public sealed record PvhStartInfo
{
    private const uint Magic = 0x336e_c578, EntryNote = 18, NoteSegment = 4;
    private const int HeadSize = 56, ModuleSize = 32, RangeSize = 24;

    /// <summary>The memory map.</summary>
    public IReadOnlyList<MemoryMapEntry> MemoryMap { get; init; } = [];

    /// <summary>Where the command line stands, terminated by zero.</summary>
    public Gpa CommandLine { get; init; }

    /// <summary>Where the initial RAM disk lies.</summary>
    public Gpa Initrd { get; init; }

    /// <summary>The size of the initial RAM disk in bytes; 0 for none.</summary>
    public ulong InitrdSize { get; init; }

    /// <summary>Where ACPI's RSDP stands.</summary>
    public Gpa Rsdp { get; init; }

    /// <summary>Looks for the 32-bit entry that a kernel with PVH support names in the ELF note XEN_ELFNOTE_PHYS32_ENTRY.</summary>
    /// <param name="file">An ELF file that <see cref="ElfImage.Parse"/> has taken.</param>
    /// <param name="entry">Its physical address. It expects 32-bit protected mode without paging and the structure's address in EBX.</param>
    /// <returns>Whether there is one. Notes are looked at up to as many bytes as the file has, so that headers which all name the same notes cost no more than those.</returns>
    public static bool TryFindEntry(ReadOnlySpan<byte> file, out Gpa entry)
    {
        entry = default;
        if (file.Length < 64)
            return false;
        ulong headers = BinaryPrimitives.ReadUInt64LittleEndian(file[32..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(file[56..]), left = file.Length;
        for (int i = 0; i < count; i++)
        {
            if (!TrySlice(file, headers + (ulong)i * 56, 56, out ReadOnlySpan<byte> header))
                return false;
            if (BinaryPrimitives.ReadUInt32LittleEndian(header) != NoteSegment
                || !TrySlice(file, BinaryPrimitives.ReadUInt64LittleEndian(header[8..]), BinaryPrimitives.ReadUInt64LittleEndian(header[32..]), out ReadOnlySpan<byte> notes))
                continue;
            if (notes.Length > left)
                return false;
            left -= notes.Length;
            if (TryFindNote(notes, out entry))
                return true;
        }

        return false;
    }

    /// <summary>The structure's bytes, followed by the module list and the memory map.</summary>
    /// <param name="address">Where they will stand.</param>
    public byte[] ToArray(Gpa address)
    {
        int modules = InitrdSize == 0 ? 0 : 1;
        ulong moduleList = address.Value + HeadSize, memoryMap = moduleList + (ulong)modules * ModuleSize;
        byte[] bytes = new byte[HeadSize + modules * ModuleSize + MemoryMap.Count * RangeSize];
        Span<byte> rest = bytes;
        Put32(ref rest, Magic);
        Put32(ref rest, 1);
        Put32(ref rest, 0);
        Put32(ref rest, (uint)modules);
        Put64(ref rest, modules == 0 ? 0 : moduleList);
        Put64(ref rest, CommandLine.Value);
        Put64(ref rest, Rsdp.Value);
        Put64(ref rest, memoryMap);
        Put32(ref rest, (uint)MemoryMap.Count);
        Put32(ref rest, 0);
        if (modules != 0)
        {
            Put64(ref rest, Initrd.Value);
            Put64(ref rest, InitrdSize);
            Put64(ref rest, 0);
            Put64(ref rest, 0);
        }

        foreach (MemoryMapEntry entry in MemoryMap)
        {
            Put64(ref rest, entry.Start.Value);
            Put64(ref rest, entry.Size);
            Put32(ref rest, (uint)entry.Kind);
            Put32(ref rest, 0);
        }

        return bytes;
    }

    private static bool TryFindNote(ReadOnlySpan<byte> notes, out Gpa entry)
    {
        while (notes.Length >= 12)
        {
            ulong nameSize = BinaryPrimitives.ReadUInt32LittleEndian(notes), size = BinaryPrimitives.ReadUInt32LittleEndian(notes[4..]);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(notes[8..]);
            ulong content = 12 + (nameSize + 3 & ~3ul), next = content + (size + 3 & ~3ul);
            if (content + size > (ulong)notes.Length)
                break;
            if (type == EntryNote && size >= 4 && notes.Slice(12, (int)nameSize).StartsWith("Xen\0"u8))
            {
                ReadOnlySpan<byte> value = notes.Slice((int)content, (int)size);
                entry = new Gpa(size >= 8 ? BinaryPrimitives.ReadUInt64LittleEndian(value) : BinaryPrimitives.ReadUInt32LittleEndian(value));
                return true;
            }

            notes = notes[(int)Math.Min(next, (ulong)notes.Length)..];
        }

        entry = default;
        return false;
    }

    private static bool TrySlice(ReadOnlySpan<byte> file, ulong offset, ulong size, out ReadOnlySpan<byte> slice)
    {
        bool inside = offset <= (ulong)file.Length && size <= (ulong)file.Length - offset;
        slice = inside ? file.Slice((int)offset, (int)size) : default;
        return inside;
    }

    private static void Put32(ref Span<byte> rest, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(rest, value);
        rest = rest[4..];
    }

    private static void Put64(ref Span<byte> rest, ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(rest, value);
        rest = rest[8..];
    }
}
