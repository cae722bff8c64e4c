using System.Buffers.Binary;

namespace VirtKit.Boot;

/// <summary>The zero page, which tells an x86 Linux kernel about its machine (Documentation/arch/x86/zero-page.rst).</summary>
public sealed record LinuxZeroPage
{
    /// <summary>Its size in bytes.</summary>
    public const int Size = 4096;

    private const int MemoryMapCapacity = 128, MemoryMapOffset = 0x2d0, MemoryMapStride = 20;
    private const byte UnknownLoader = 0xff, KeepSegments = 0x40;

    /// <summary>The setup header of a bzImage; empty for a kernel that comes as an ELF file, which gets one of protocol 2.15.</summary>
    public ReadOnlyMemory<byte> SetupHeader { get; init; }

    /// <summary>The memory map, at most 128 entries.</summary>
    public IReadOnlyList<MemoryMapEntry> MemoryMap { get; init; } = [];

    /// <summary>Where the command line stands, terminated by zero.</summary>
    public Gpa CommandLine { get; init; }

    /// <summary>Where the initial RAM disk lies.</summary>
    public Gpa Initrd { get; init; }

    /// <summary>The size of the initial RAM disk in bytes; 0 for none.</summary>
    public ulong InitrdSize { get; init; }

    /// <summary>Where ACPI's RSDP stands; 0 lets the kernel look for it.</summary>
    public Gpa Rsdp { get; init; }

    /// <summary>The page's bytes.</summary>
    /// <exception cref="InvalidOperationException">The memory map is too long.</exception>
    public byte[] ToArray()
    {
        if (MemoryMap.Count > MemoryMapCapacity)
            throw new InvalidOperationException($"The zero page holds at most {MemoryMapCapacity} ranges of memory.");
        byte[] page = new byte[Size];
        if (SetupHeader.IsEmpty)
        {
            Put16(page, 0x1fe, 0xaa55);
            Put32(page, 0x202, 0x5372_6448);
            Put16(page, 0x206, 0x20f);
            page[0x211] = 1;
            Put32(page, 0x230, 0x20_0000);
        }
        else
        {
            SetupHeader.Span.CopyTo(page.AsSpan(BzImage.SetupHeaderOffset));
        }

        page[0x210] = UnknownLoader;
        page[0x211] |= KeepSegments;
        BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(0x70), Rsdp.Value);
        Put64(page, 0x228, 0xc8, CommandLine.Value);
        Put64(page, 0x218, 0xc0, Initrd.Value);
        Put64(page, 0x21c, 0xc4, InitrdSize);
        page[0x1e8] = (byte)MemoryMap.Count;
        for (int i = 0; i < MemoryMap.Count; i++)
        {
            Span<byte> entry = page.AsSpan(MemoryMapOffset + i * MemoryMapStride, MemoryMapStride);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, MemoryMap[i].Start.Value);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], MemoryMap[i].Size);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], (uint)MemoryMap[i].Kind);
        }

        return page;
    }

    private static void Put16(byte[] page, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(page.AsSpan(offset), value);

    private static void Put32(byte[] page, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(offset), value);

    /// <summary>A field whose upper half was added later, elsewhere.</summary>
    private static void Put64(byte[] page, int low, int high, ulong value)
    {
        Put32(page, low, (uint)value);
        Put32(page, high, (uint)(value >> 32));
    }
}
