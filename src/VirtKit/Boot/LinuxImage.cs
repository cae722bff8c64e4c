using System.Buffers.Binary;
using System.Globalization;
using System.Text;

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

    private const int HeaderSize = 64, LongestVersion = 64;

    private LinuxImage(ReadOnlyMemory<byte> content, ulong textOffset, ulong memorySize, bool isEfiStub)
    {
        Content = content;
        TextOffset = textOffset;
        MemorySize = memorySize;
        IsEfiStub = isEfiStub;
        KernelVersion = ReadVersion(content.Span);
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

    /// <summary>The kernel's release as its banner has it, <c>6.12.0-riscv64</c>; <see langword="null"/> where no banner is found.</summary>
    public string? KernelVersion { get; }

    /// <summary>The longest command line in bytes, without the terminating zero, that the kernel does not cut (its <c>COMMAND_LINE_SIZE</c>): 1023 from Linux 6.4 on and
    /// where <see cref="KernelVersion"/> is not known, 511 before.</summary>
    public int CommandLineLimit => KernelVersion is { } version && version.Split('.', '-', '+') is [var major, var minor, ..]
        && int.TryParse(major, NumberStyles.None, CultureInfo.InvariantCulture, out int first) && int.TryParse(minor, NumberStyles.None, CultureInfo.InvariantCulture, out int second)
        && (first, second).CompareTo((6, 4)) < 0 ? 511 : 1023;

    /// <summary>Whether a file looks like a kernel of this kind, compressed or not; <see cref="Parse"/> may still refuse it.</summary>
    public static bool IsLinuxImage(ReadOnlySpan<byte> file) => GzipFile.IsGzip(file) || HasMagic(file);

    /// <summary>How much memory a kernel that is not compressed claims, by its header alone.</summary>
    /// <param name="file">The file, or its first 64 bytes.</param>
    /// <param name="size">The length in bytes, at least that of <paramref name="file"/>.</param>
    /// <returns>Whether the file begins as such a kernel does.</returns>
    public static bool TryReadMemorySize(ReadOnlySpan<byte> file, out ulong size)
    {
        bool isImage = HasMagic(file);
        size = isImage ? Math.Max(BinaryPrimitives.ReadUInt64LittleEndian(file[16..]), (ulong)file.Length) : 0;
        return isImage;
    }

    /// <summary>Reads and checks the header, after decompression where the file is compressed. Work and memory are bounded by the file's length and
    /// <see cref="MaxDecompressedSize"/>: at most about a second.</summary>
    /// <param name="file">The whole file. It is not copied unless it is compressed.</param>
    /// <exception cref="InvalidImageException">Not such a file, truncated, or longer than <see cref="MaxDecompressedSize"/> when decompressed. A file without the EFI stub
    /// that is not compressed does not say how long it is, so that one cut behind its header is not noticed.</exception>
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
        bool isPe = PeFile.IsPe(header);
        if (isPe && PeFile.RequiredLength(header) is var required && required > (ulong)file.Length)
            throw new InvalidImageException($"The Linux Image is truncated: its sections need {required} bytes, and the file has {file.Length}.");
        return new LinuxImage(file, textOffset, Math.Max(size, (ulong)file.Length), isPe);
    }

    /// <summary>Writes the kernel to where it wants to lie.</summary>
    /// <param name="memory">The machine's memory.</param>
    /// <param name="ramStart">The start of RAM, a multiple of <see cref="Alignment"/>.</param>
    /// <returns>The first instruction. It expects the hart ID in <c>a0</c>, the device tree's address in <c>a1</c> and <c>satp</c> zero.</returns>
    /// <exception cref="ArgumentException"><paramref name="ramStart"/> is not aligned.</exception>
    /// <exception cref="InvalidImageException">The memory that the kernel claims is not there, or its text offset is not aligned either; nothing has been written.</exception>
    /// <exception cref="LoadOverlapException">It overlaps what is loaded already; nothing has been written.</exception>
    public Gpa Load(AddressSpace memory, Gpa ramStart)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (ramStart.Value % Alignment != 0)
            throw new ArgumentException($"A kernel starts at a multiple of 2 MiB, and {ramStart} is none.", nameof(ramStart));
        if (TextOffset > ulong.MaxValue - ramStart.Value)
            throw new InvalidImageException($"The Linux Image's text offset, {TextOffset}, leads past the address space.");
        if (TextOffset % Alignment != 0)
            throw new InvalidImageException($"The Linux Image's text offset, {TextOffset}, is not a multiple of 2 MiB, where a kernel has to start.");
        Gpa start = ramStart + TextOffset;
        var plan = new LoadPlan(memory);
        plan.Add("the kernel", start, Content, MemorySize, LoadPlan.Remainder.Claimed);
        plan.Commit();
        return start;
    }

    /// <summary>"RSC\x05"; the older eight-byte magic before it is deprecated.</summary>
    private static bool HasMagic(ReadOnlySpan<byte> file) => file.Length >= HeaderSize && BinaryPrimitives.ReadUInt32LittleEndian(file[56..]) == 0x05435352;

    /// <summary>The release in the banner that the kernel prints first.</summary>
    private static string? ReadVersion(ReadOnlySpan<byte> kernel)
    {
        ReadOnlySpan<byte> banner = "Linux version "u8;
        for (int at = kernel.IndexOf(banner); at >= 0; at = kernel.IndexOf(banner))
        {
            kernel = kernel[(at + banner.Length)..];
            int end = kernel[..Math.Min(kernel.Length, LongestVersion)].IndexOf((byte)' ');
            // Other strings of the kernel begin alike: a release begins with a digit.
            if (end > 0 && char.IsAsciiDigit((char)kernel[0]))
                return Encoding.Latin1.GetString(kernel[..end]);
        }

        return null;
    }
}
