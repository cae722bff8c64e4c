using System.Buffers.Binary;

namespace VirtKit.Boot;

/// <summary>A RISC-V Linux kernel as its build writes it: <c>Image</c>, with or without the EFI stub's PE header, or <c>Image.gz</c>.</summary>
/// <remarks>The header is described in the kernel's Documentation/arch/riscv/boot-image-header.rst, the way in in boot.rst beside it. Immutable and thread-safe.
/// It keeps a view of the file's bytes, which the caller does not change meanwhile.</remarks>
public sealed class LinuxImage
{
    /// <summary>The longest kernel that a compressed file may hold, in bytes.</summary>
    public const int MaxDecompressedSize = 256 << 20;

    /// <summary>The kernel has to start at a multiple of this, in bytes: the size of a second-level page.</summary>
    public const ulong Alignment = 2 << 20;

    private const int HeaderSize = 64;
    private const uint PeSignature = 0x4550;

    private LinuxImage(ReadOnlyMemory<byte> content, ulong textOffset, ulong memorySize, bool isEfiStub)
    {
        Content = content;
        TextOffset = textOffset;
        MemorySize = memorySize;
        IsEfiStub = isEfiStub;
    }

    /// <summary>The kernel's bytes, decompressed.</summary>
    public ReadOnlyMemory<byte> Content { get; }

    /// <summary>Where the kernel wants to lie, in bytes from the start of RAM.</summary>
    public ulong TextOffset { get; }

    /// <summary>How much memory the kernel claims from where it is loaded, in bytes: its content and the data that it zeroes itself. A device tree or an initial
    /// RAM disk lies outside.</summary>
    public ulong MemorySize { get; }

    /// <summary>Whether the file is a PE executable, too, that EFI firmware can start.</summary>
    public bool IsEfiStub { get; }

    /// <summary>Whether a file looks like a kernel of this kind, compressed or not; <see cref="Parse"/> may still refuse it.</summary>
    public static bool IsLinuxImage(ReadOnlySpan<byte> file) => GzipFile.IsGzip(file) || HasMagic(file);

    /// <summary>Reads and checks the header, after decompression where the file is compressed.</summary>
    /// <param name="file">The whole file. It is not copied unless it is compressed.</param>
    /// <exception cref="InvalidImageException">Not such a file, truncated, or longer than <see cref="MaxDecompressedSize"/> when decompressed.</exception>
    public static LinuxImage Parse(ReadOnlyMemory<byte> file)
    {
        if (GzipFile.IsGzip(file.Span))
            file = GzipFile.Decompress(file, "The compressed Linux Image", MaxDecompressedSize);
        ReadOnlySpan<byte> header = file.Span;
        if (!HasMagic(header))
            throw new InvalidImageException("Not a RISC-V Linux Image: the magic number is missing.");
        ulong textOffset = BinaryPrimitives.ReadUInt64LittleEndian(header[8..]);
        ulong size = BinaryPrimitives.ReadUInt64LittleEndian(header[16..]);
        ulong flags = BinaryPrimitives.ReadUInt64LittleEndian(header[24..]);
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(header[32..]);
        if (version >> 16 != 0)
            throw new InvalidImageException($"The Linux Image has a header of version {version >> 16}.{version & 0xffff}; 0.x is known.");
        if ((flags & 1) != 0)
            throw new InvalidImageException("The Linux Image is a big-endian kernel.");
        if (textOffset % AddressSpace.PageSize != 0)
            throw new InvalidImageException($"The Linux Image's text offset, {textOffset}, is not a multiple of the page size.");
        return new LinuxImage(file, textOffset, Math.Max(size, (ulong)file.Length), IsPe(header));
    }

    /// <summary>Writes the kernel to where it wants to lie.</summary>
    /// <param name="memory">The machine's memory.</param>
    /// <param name="ramStart">The start of RAM, a multiple of <see cref="Alignment"/>.</param>
    /// <returns>The first instruction. It expects the hart ID in <c>a0</c>, the device tree's address in <c>a1</c> and <c>satp</c> zero.</returns>
    /// <exception cref="InvalidImageException">The memory that the kernel claims is not there; nothing has been written.</exception>
    public Gpa Load(AddressSpace memory, Gpa ramStart)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (TextOffset > ulong.MaxValue - ramStart.Value)
            throw new InvalidImageException($"The Linux Image's text offset, {TextOffset}, leads past the address space.");
        Gpa start = ramStart + TextOffset;
        var plan = new LoadPlan(memory);
        plan.Add("The kernel", start, Content, MemorySize, LoadPlan.Remainder.Claimed);
        plan.Commit();
        return start;
    }

    /// <summary>"RSC\x05"; the older eight-byte magic before it is deprecated.</summary>
    private static bool HasMagic(ReadOnlySpan<byte> file) => file.Length >= HeaderSize && BinaryPrimitives.ReadUInt32LittleEndian(file[56..]) == 0x05435352;

    private static bool IsPe(ReadOnlySpan<byte> file)
    {
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(file[60..]);
        return file.StartsWith("MZ"u8) && offset <= (uint)(file.Length - 4) && BinaryPrimitives.ReadUInt32LittleEndian(file[(int)offset..]) == PeSignature;
    }
}
