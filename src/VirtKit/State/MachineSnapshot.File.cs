using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using VirtKit.Memory;

namespace VirtKit.State;

/// <summary>The file of a snapshot (docs/snapshot-format.md).</summary>
public sealed partial class MachineSnapshot
{
    /// <summary>The version that this build writes; it reads all up to this.</summary>
    public const int FormatVersion = 2;

    private const int PieceSize = 1 << 20, PieceHead = 16, FingerprintSize = 16, MaxRegions = 256, MaxHeader = 1 << 20;
    private const ulong LargestRegion = 1UL << 46;
    private const uint IsCompressed = 1;

    /// <summary>The first bytes of a file; the line end shows a copy that was made as text.</summary>
    private static ReadOnlySpan<byte> Magic => "VKSNAP\r\n"u8;

    /// <summary>Writes the snapshot to a file: to a new one beside it, which takes its name when it is whole and on the disk. A crash in between leaves the old one as it was.</summary>
    /// <param name="path">The file, which is replaced.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <param name="progress">Told of the share that is written, from 0 to 1.</param>
    /// <param name="cancellationToken">Ends it; nothing is left behind.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The snapshot has been disposed of.</exception>
    public async Task SaveAsync(string path, SnapshotOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string partial = $"{path}.{Guid.NewGuid():N}.partial";
        try
        {
            var file = new FileStream(partial, new FileStreamOptions
            {
                Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None, BufferSize = 0, Options = FileOptions.Asynchronous,
                // In one piece on the disk, which makes the flush shorter.
                PreallocationSize = options is not { Compression: not null } and not { Since: not null } ? _state.Length + _regions.Sum(region => region.Pieces(PieceSize).Sum(piece => (long)piece.Length)) : 0,
            });
            await using (file.ConfigureAwait(false))
            {
                await SaveAsync(file, options, progress, cancellationToken).ConfigureAwait(false);
                file.Flush(flushToDisk: true);
            }

            File.Move(partial, path, overwrite: true);
        }
        catch
        {
            File.Delete(partial);
            throw;
        }
    }

    /// <summary>Writes the snapshot to a stream, from where that stands.</summary>
    /// <param name="stream">The stream, which stays open and is not flushed.</param>
    /// <inheritdoc cref="SaveAsync(string, SnapshotOptions?, IProgress{double}?, CancellationToken)"/>
    public async Task SaveAsync(Stream stream, SnapshotOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using Held held = Hold();
        using Held? heldToo = HoldEarlier(options?.Since);
        byte[] begin = new byte[Magic.Length + 4];
        Magic.CopyTo(begin);
        BinaryPrimitives.WriteInt32LittleEndian(begin.AsSpan(Magic.Length), FormatVersion);
        await stream.WriteAsync(begin, cancellationToken).ConfigureAwait(false);
        var sections = new SectionWriter(stream);
        await sections.WriteAsync(SectionKind.Header, (byte[])[.. WriteHeader(), .. FingerprintOf(options?.Since)], cancellationToken).ConfigureAwait(false);
        await sections.WriteAsync(SectionKind.State, _state, cancellationToken).ConfigureAwait(false);
        byte[] head = new byte[PieceHead], compressed = new byte[options?.Compression is null ? 0 : BrotliEncoder.GetMaxCompressedLength(PieceSize)];
        for (int i = 0; i < _regions.Length; i++)
        {
            foreach (SnapshotPiece piece in options?.Since is { } since ? _regions[i].PiecesSince(since._regions[i], PieceSize) : _regions[i].Pieces(PieceSize))
            {
                ReadOnlyMemory<byte> content = piece.Memory;
                bool isCompressed = options?.Compression is { } level && BrotliEncoder.TryCompress(content.Span, compressed, out int written, QualityOf(level), window: 22) && Shrinks(ref content, compressed, written);
                BinaryPrimitives.WriteInt32LittleEndian(head, i);
                BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(4), isCompressed ? IsCompressed : 0);
                BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(8), piece.Offset);
                await sections.WriteAsync(SectionKind.Memory, head, content, cancellationToken).ConfigureAwait(false);
                progress?.Report((i + (double)piece.Offset / _regions[i].Size) / _regions.Length);
            }
        }

        await sections.WriteAsync(SectionKind.End, default, cancellationToken).ConfigureAwait(false);
        progress?.Report(1);
    }

    /// <summary>Reads a snapshot from a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="InvalidSnapshotException">It is no snapshot, truncated, damaged, or of a newer version. Whether it fits a machine is seen by <see cref="Machine.Restore"/>.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="VirtKitException">The host has no memory for it.</exception>
    public static Task<MachineSnapshot> LoadAsync(string path, CancellationToken cancellationToken = default) => LoadAsync(path, null, cancellationToken);

    /// <summary>Reads a snapshot from a file that may hold only what has changed since another one.</summary>
    /// <param name="path">The file.</param>
    /// <param name="since">What <see cref="SnapshotOptions.Since"/> was when it was saved, or a snapshot with the same content; <see langword="null"/> for a file that stands alone. It may be
    /// disposed of afterwards.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <inheritdoc cref="LoadAsync(string, CancellationToken)"/>
    public static async Task<MachineSnapshot> LoadAsync(string path, MachineSnapshot? since, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var file = new FileStream(path, new FileStreamOptions { BufferSize = 1 << 16, Options = FileOptions.Asynchronous | FileOptions.SequentialScan });
        await using (file.ConfigureAwait(false))
            return await LoadAsync(file, since, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads a snapshot from a stream, which then stands behind it.</summary>
    /// <param name="stream">The stream, which stays open.</param>
    /// <inheritdoc cref="LoadAsync(string, CancellationToken)"/>
    public static Task<MachineSnapshot> LoadAsync(Stream stream, CancellationToken cancellationToken = default) => LoadAsync(stream, null, cancellationToken);

    /// <summary>Reads a snapshot from a stream that may hold only what has changed since another one; the stream then stands behind it.</summary>
    /// <param name="stream">The stream, which stays open.</param>
    /// <inheritdoc cref="LoadAsync(string, MachineSnapshot?, CancellationToken)"/>
    public static async Task<MachineSnapshot> LoadAsync(Stream stream, MachineSnapshot? since, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        byte[] begin = new byte[Magic.Length + 4];
        if (await stream.ReadAtLeastAsync(begin, begin.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false) < begin.Length || !begin.AsSpan(0, Magic.Length).SequenceEqual(Magic))
            throw new InvalidSnapshotException("This is no snapshot of a machine: it does not begin as one.");
        int version = BinaryPrimitives.ReadInt32LittleEndian(begin.AsSpan(Magic.Length));
        if (version is < 1 or > FormatVersion)
            throw new InvalidSnapshotException($"The snapshot is of version {version}, and this build reads 1 to {FormatVersion}.");
        var sections = new SectionReader(stream);
        SnapshotRegion[] regions = [];
        byte[] decompressed = new byte[PieceSize];
        try
        {
            (SnapshotHeader header, regions) = ReadHeader(await ReadAsync(SectionKind.Header).ConfigureAwait(false), version, since);
            byte[] state = await ReadAsync(SectionKind.State).ConfigureAwait(false);
            StateReader.PartsOf(state);
            while (true)
            {
                (SectionKind kind, byte[] content) = await sections.ReadAsync(MostOf, cancellationToken).ConfigureAwait(false);
                if (kind == SectionKind.End)
                {
                    foreach (SnapshotRegion region in regions)
                        region.End();
                    return new MachineSnapshot(header, regions, state);
                }

                if (kind != SectionKind.Memory)
                    throw new InvalidSnapshotException($"The snapshot has a section of kind {kind} among those of memory.");
                ReadPiece(content, regions, decompressed);
            }
        }
        catch
        {
            foreach (SnapshotRegion region in regions)
                region.Release();
            throw;
        }

        async ValueTask<byte[]> ReadAsync(SectionKind wanted)
        {
            (SectionKind kind, byte[] content) = await sections.ReadAsync(MostOf, cancellationToken).ConfigureAwait(false);
            return kind == wanted ? content : throw new InvalidSnapshotException($"The snapshot has a section of kind {kind} where {wanted} is expected.");
        }

        static long MostOf(SectionKind kind) => kind switch
        {
            SectionKind.Header => MaxHeader,
            SectionKind.State => Array.MaxLength,
            SectionKind.Memory => PieceHead + BrotliEncoder.GetMaxCompressedLength(PieceSize),
            _ => 0,
        };
    }

    private byte[] WriteHeader()
    {
        byte[] name = Encoding.UTF8.GetBytes(_header.Architecture);
        var bytes = new ArrayBufferWriter<byte>();
        Number((ulong)name.Length);
        bytes.Write(name);
        Number((ulong)_header.VcpuCount);
        Number((ulong)_regions.Length);
        foreach (SnapshotRegion region in _regions)
        {
            Number(region.Start);
            Number(region.Size);
            Number(region.IsWritable ? 1u : 0);
        }

        return bytes.WrittenSpan.ToArray();

        void Number(ulong value)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.GetSpan(8), value);
            bytes.Advance(8);
        }
    }

    private static byte[] FingerprintOf(MachineSnapshot? snapshot)
    {
        byte[] bytes = new byte[FingerprintSize];
        if (snapshot is not null)
            BinaryPrimitives.WriteUInt128LittleEndian(bytes, snapshot.Fingerprint);
        return bytes;
    }

    /// <exception cref="ArgumentException">It is of a machine composed otherwise.</exception>
    private Held? HoldEarlier(MachineSnapshot? since)
    {
        if (since is not null && !since.WriteHeader().AsSpan().SequenceEqual(WriteHeader()))
            throw new ArgumentException($"{nameof(SnapshotOptions.Since)} is a snapshot of a machine composed otherwise.", nameof(since));
        return since?.Hold();
    }

    /// <exception cref="InvalidSnapshotException">The header says what cannot be, or does not fit the earlier snapshot.</exception>
    private static (SnapshotHeader Header, SnapshotRegion[] Regions) ReadHeader(byte[] content, int version, MachineSnapshot? since)
    {
        int end = version == 1 ? content.Length : content.Length - FingerprintSize;
        if (end < 0)
            throw new InvalidSnapshotException("The snapshot's header is cut off.");
        bool standsAlone = !content.AsSpan(end).ContainsAnyExcept((byte)0);
        if (!standsAlone)
            RequireFit(content, end, since);
        using Held? held = standsAlone ? null : since!.Hold();
        int at = 0;
        ulong length = Number(MaxHeader, "length of the architecture");
        if (length > (ulong)(end - at))
            throw new InvalidSnapshotException("The snapshot's header is cut off.");
        string name = Encoding.UTF8.GetString(content, at, (int)length);
        at += (int)length;
        int vcpus = (int)Number(int.MaxValue, "number of vCPUs");
        var regions = new SnapshotRegion[Number(MaxRegions, "number of regions")];
        int made = 0;
        try
        {
            for (; made < regions.Length; made++)
            {
                ulong start = Number(ulong.MaxValue, "address of a region"), size = Number(LargestRegion, "size of a region"), isWritable = Number(1, "kind of a region");
                if (size == 0 || (start | size) % AddressSpace.PageSize != 0)
                    throw new InvalidSnapshotException($"The snapshot has {size} bytes of memory at 0x{start:x}.");
                regions[made] = SnapshotRegion.Begin(start, size, isWritable != 0, standsAlone ? null : since!._regions[made]);
            }
        }
        catch
        {
            foreach (SnapshotRegion region in regions.AsSpan(0, made))
                region.Release();
            throw;
        }

        return (new SnapshotHeader(name, vcpus), regions);

        ulong Number(ulong most, string what)
        {
            ulong value = end - at >= 8 ? BinaryPrimitives.ReadUInt64LittleEndian(content.AsSpan(at)) : throw new InvalidSnapshotException("The snapshot's header is cut off.");
            at += 8;
            return value <= most ? value : throw new InvalidSnapshotException($"The snapshot's header has a {what} of {value}.");
        }
    }

    /// <exception cref="InvalidSnapshotException">The file is of what has changed since another snapshot than this.</exception>
    private static void RequireFit(byte[] header, int end, MachineSnapshot? since)
    {
        if (since is null)
            throw new InvalidSnapshotException("The snapshot holds what has changed since another one, and that one is not given.");
        if (!since.WriteHeader().AsSpan().SequenceEqual(header.AsSpan(0, end)) || BinaryPrimitives.ReadUInt128LittleEndian(header.AsSpan(end)) != since.Fingerprint)
            throw new InvalidSnapshotException("The snapshot holds what has changed since another one than the one that is given.");
    }

    private static bool Shrinks(ref ReadOnlyMemory<byte> content, byte[] compressed, int written)
    {
        if (written >= content.Length)
            return false;
        content = compressed.AsMemory(0, written);
        return true;
    }

    private static int QualityOf(CompressionLevel level) => level switch { CompressionLevel.Fastest => 1, CompressionLevel.NoCompression => 0, CompressionLevel.SmallestSize => 11, _ => 4 };

    /// <exception cref="InvalidSnapshotException">It does not lie in memory.</exception>
    private static void ReadPiece(ReadOnlySpan<byte> piece, SnapshotRegion[] regions, byte[] decompressed)
    {
        if (piece.Length < PieceHead)
            throw new InvalidSnapshotException("A piece of the snapshot's memory is cut off.");
        uint number = BinaryPrimitives.ReadUInt32LittleEndian(piece), flags = BinaryPrimitives.ReadUInt32LittleEndian(piece[4..]);
        ulong offset = BinaryPrimitives.ReadUInt64LittleEndian(piece[8..]);
        SnapshotRegion region = number < regions.Length ? regions[number] : throw new InvalidSnapshotException($"A piece of the snapshot's memory is of region {number}, which there is not.");
        ulong room = offset < region.Size && offset % PageSize == 0 ? Math.Min(region.Size - offset, PieceSize) : 0;
        piece = piece[PieceHead..];
        if (flags == IsCompressed)
        {
            int length = BrotliDecoder.TryDecompress(piece, decompressed, out int written) ? written : 0;
            piece = decompressed.AsSpan(0, length);
        }

        if (flags > IsCompressed || piece.IsEmpty || piece.Length % PageSize != 0 || (ulong)piece.Length > room)
            throw new InvalidSnapshotException($"A piece of the snapshot's memory at {offset} of region {number} does not fit there.");
        region.Write((long)offset, piece);
    }
}
