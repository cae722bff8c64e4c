using System.Buffers.Binary;
using System.Text;

namespace VirtKit.Boot;

/// <summary>An x86 Linux kernel as its build writes it, <c>bzImage</c>: a setup header, code that decompresses, and the compressed kernel (Documentation/arch/x86/boot.rst).</summary>
/// <remarks>Immutable and thread-safe. It keeps a view of the file's bytes, which the caller does not change meanwhile.
/// The whole file boots through <see cref="Load"/>, and decompresses itself in the guest; <see cref="ExtractKernel"/> does that work on the host instead.</remarks>
public sealed class BzImage
{
    /// <summary>Where the setup header stands in the file, and in the zero page.</summary>
    public const int SetupHeaderOffset = 0x1f1;

    /// <summary>How far behind the kernel's start the 64-bit entry lies.</summary>
    public const ulong Entry64Offset = 0x200;

    private const int ShortestHeader = 0x264, LongestHeader = 0x290, SectorSize = 512;
    private const uint HeaderMagic = 0x5372_6448;
    private const ushort OldestVersion = 0x20c;

    private readonly ReadOnlyMemory<byte> _protectedMode;

    private BzImage(ReadOnlyMemory<byte> setupHeader, ReadOnlyMemory<byte> protectedMode, ReadOnlyMemory<byte> payload, string? version)
    {
        SetupHeader = setupHeader;
        _protectedMode = protectedMode;
        Payload = payload;
        KernelVersion = version;
        ReadOnlySpan<byte> header = setupHeader.Span;
        ProtocolVersion = BinaryPrimitives.ReadUInt16LittleEndian(header[(0x206 - SetupHeaderOffset)..]);
        CommandLineLimit = U32(header, 0x238);
        PreferredAddress = new Gpa(BinaryPrimitives.ReadUInt64LittleEndian(header[(0x258 - SetupHeaderOffset)..]));
        MemorySize = Math.Max(U32(header, 0x260), (ulong)protectedMode.Length);
        Format = FormatOf(payload.Span);
    }

    /// <summary>The boot protocol's version, 0x020f for 2.15.</summary>
    public ushort ProtocolVersion { get; }

    /// <summary>The kernel's release with who built it, as the file says it; <see langword="null"/> where it does not.</summary>
    public string? KernelVersion { get; }

    /// <summary>The longest command line in bytes, without the terminating zero.</summary>
    public uint CommandLineLimit { get; }

    /// <summary>Where the kernel would rather lie.</summary>
    public Gpa PreferredAddress { get; }

    /// <summary>How much memory the kernel needs from where it is loaded, in bytes, before it has looked at the memory map.</summary>
    public ulong MemorySize { get; }

    /// <summary>How <see cref="Payload"/> is compressed.</summary>
    public KernelCompression Format { get; }

    /// <summary>The compressed kernel.</summary>
    public ReadOnlyMemory<byte> Payload { get; }

    /// <summary>The setup header, which the zero page repeats: <see cref="LinuxZeroPage.SetupHeader"/>.</summary>
    public ReadOnlyMemory<byte> SetupHeader { get; }

    /// <summary>Whether a file looks like a kernel of this kind; <see cref="Parse"/> may still refuse it.</summary>
    public static bool IsBzImage(ReadOnlySpan<byte> file) =>
        file.Length >= ShortestHeader && BinaryPrimitives.ReadUInt16LittleEndian(file[0x1fe..]) == 0xaa55 && BinaryPrimitives.ReadUInt32LittleEndian(file[0x202..]) == HeaderMagic;

    /// <summary>Reads and checks the headers.</summary>
    /// <param name="file">The whole file. It is not copied.</param>
    /// <exception cref="InvalidImageException">Not such a file, truncated, older than protocol 2.12, or without a 64-bit entry.</exception>
    public static BzImage Parse(ReadOnlyMemory<byte> file)
    {
        ReadOnlySpan<byte> bytes = file.Span;
        if (!IsBzImage(bytes))
            throw new InvalidImageException("Not a bzImage: its magic numbers are missing.");
        ushort version = BinaryPrimitives.ReadUInt16LittleEndian(bytes[0x206..]);
        if (version < OldestVersion)
            throw new InvalidImageException($"The bzImage speaks boot protocol {version >> 8}.{version & 0xff:d2}; at least 2.12 is needed.");
        int headerEnd = 0x202 + bytes[0x201], sectors = bytes[SetupHeaderOffset] == 0 ? 4 : bytes[SetupHeaderOffset];
        int setupSize = (sectors + 1) * SectorSize;
        if (headerEnd is < ShortestHeader or > LongestHeader || setupSize < headerEnd || setupSize > bytes.Length)
            throw new InvalidImageException("The bzImage's setup header is truncated.");
        ulong size = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x1f4..]) * 16ul;
        if (size == 0 || size > (ulong)(bytes.Length - setupSize))
            throw new InvalidImageException($"The bzImage is truncated: {size} bytes behind the setup of a file of {bytes.Length} bytes.");
        if ((bytes[0x211] & 1) == 0 || (bytes[0x236] & 1) == 0)
            throw new InvalidImageException("The bzImage has no 64-bit entry.");
        ReadOnlyMemory<byte> header = file[SetupHeaderOffset..headerEnd], code = file.Slice(setupSize, (int)size);
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x248..]), length = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x24c..]);
        if (offset > size || length > size - offset)
            throw new InvalidImageException("The bzImage's payload does not lie in it.");
        return new BzImage(header, code, code.Slice((int)offset, (int)length), ReadVersion(bytes[..setupSize]));
    }

    /// <summary>Decompresses the kernel, an ELF file. Takes memory for it and some 100 ms; <see cref="LinuxImage.MaxDecompressedSize"/> bounds both.</summary>
    /// <exception cref="InvalidImageException">It is compressed by a method other than gzip and LZ4, which the message names; or damaged, or longer than
    /// <see cref="LinuxImage.MaxDecompressedSize"/>.</exception>
    public byte[] ExtractKernel() => Format switch
    {
        KernelCompression.Gzip => GzipFile.Decompress(Payload, "The bzImage's payload", LinuxImage.MaxDecompressedSize),
        // The build puts the decompressed size behind the last block.
        KernelCompression.Lz4 when Payload.Length >= 8 => Lz4LegacyFile.Decompress(Payload.Span[..^4], "The bzImage's payload", LinuxImage.MaxDecompressedSize),
        KernelCompression.None => Payload.ToArray(),
        _ => throw new InvalidImageException($"The bzImage's payload is compressed by {Format.ToString().ToLowerInvariant()}, which VirtKit does not decompress."),
    };

    /// <summary>Writes the code that decompresses, with the compressed kernel, to memory.</summary>
    /// <param name="memory">The machine's memory.</param>
    /// <param name="start">Where to, <see cref="PreferredAddress"/> as a rule.</param>
    /// <returns>The 64-bit entry. It expects an identity map, flat segments and the zero page's address in RSI.</returns>
    /// <exception cref="InvalidImageException">The memory that the kernel needs is not there; nothing has been written.</exception>
    /// <exception cref="LoadOverlapException">It overlaps what is loaded already; nothing has been written.</exception>
    public Gpa Load(AddressSpace memory, Gpa start)
    {
        ArgumentNullException.ThrowIfNull(memory);
        var plan = new LoadPlan(memory);
        plan.Add("the kernel", start, _protectedMode, MemorySize, LoadPlan.Remainder.Claimed);
        plan.Commit();
        return start + Entry64Offset;
    }

    /// <summary>Decompresses the kernel and writes it to where it is linked to run, as its own code would. All memory from its first byte on that it uses before it
    /// has looked at the memory map is claimed: <see cref="MemorySize"/>, which includes page tables behind its data.</summary>
    /// <param name="memory">The machine's memory.</param>
    /// <param name="lowest">The lowest address that a kernel may have.</param>
    /// <returns>The 64-bit entry, as for <see cref="Load"/>.</returns>
    /// <exception cref="InvalidImageException">As for <see cref="ExtractKernel"/> and <see cref="ElfImage.Parse"/>; or the kernel lies below <paramref name="lowest"/>, or the
    /// memory that it needs is not there; nothing has been written.</exception>
    /// <exception cref="LoadOverlapException">It overlaps what is loaded already; nothing has been written.</exception>
    public Gpa LoadExtracted(AddressSpace memory, Gpa lowest = default)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ElfImage kernel = ElfImage.Parse(ExtractKernel(), ElfMachine.X64);
        kernel.Load(memory, "the kernel", lowest, MemorySize);
        return kernel.Entry;
    }

    private static KernelCompression FormatOf(ReadOnlySpan<byte> payload) => payload switch
    {
        [0x1f, 0x8b, ..] => KernelCompression.Gzip,
        [0x02, 0x21, 0x4c, 0x18, ..] => KernelCompression.Lz4,
        [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0, ..] => KernelCompression.Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => KernelCompression.Zstd,
        [(byte)'B', (byte)'Z', (byte)'h', ..] => KernelCompression.Bzip2,
        [0x5d, 0, 0, ..] => KernelCompression.Lzma,
        [0x89, (byte)'L', (byte)'Z', (byte)'O', ..] => KernelCompression.Lzo,
        [0x7f, (byte)'E', (byte)'L', (byte)'F', ..] => KernelCompression.None,
        _ => KernelCompression.Unknown,
    };

    private static string? ReadVersion(ReadOnlySpan<byte> setup)
    {
        int offset = BinaryPrimitives.ReadUInt16LittleEndian(setup[0x20e..]);
        if (offset == 0 || offset + 0x200 >= setup.Length)
            return null;
        ReadOnlySpan<byte> text = setup[(offset + 0x200)..];
        int end = text.IndexOf((byte)0);
        return end < 0 ? null : Encoding.Latin1.GetString(text[..end]);
    }

    private static uint U32(ReadOnlySpan<byte> header, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(header[(offset - SetupHeaderOffset)..]);
}

/// <summary>How a kernel is compressed inside its bzImage.</summary>
public enum KernelCompression
{
    /// <summary>By something that is not known.</summary>
    Unknown,

    /// <summary>Not at all.</summary>
    None,

    /// <summary>gzip.</summary>
    Gzip,

    /// <summary>LZ4 in legacy frames.</summary>
    Lz4,

    /// <summary>xz, not decompressed here.</summary>
    Xz,

    /// <summary>Zstandard, not decompressed here.</summary>
    Zstd,

    /// <summary>bzip2, not decompressed here.</summary>
    Bzip2,

    /// <summary>LZMA, not decompressed here.</summary>
    Lzma,

    /// <summary>LZO, not decompressed here.</summary>
    Lzo,
}
