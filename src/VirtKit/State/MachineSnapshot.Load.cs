using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace VirtKit.State;

/// <summary>Reads the file of a snapshot, which may be any bytes (docs/snapshot-format.md).</summary>
public sealed partial class MachineSnapshot
{
    /// <summary>Reads a snapshot, with the log of a recording that begins with it if there is one.</summary>
    internal static async Task<(MachineSnapshot Snapshot, InputLog? Log)> LoadWithLogAsync(Stream stream, MachineSnapshot? since, CancellationToken cancellationToken)
    {
        SectionContent content = await ReadSectionsAsync(stream, since, cancellationToken).ConfigureAwait(false);
        try
        {
            if (content.Images is not null)
                await ReadImagesAsync(stream, content, cancellationToken).ConfigureAwait(false);
            return (content.Snapshot, content.Log);
        }
        catch
        {
            content.Snapshot.Dispose();
            throw;
        }
    }

    /// <summary>Reads all but the images that may stand behind the sections.</summary>
    private static async Task<SectionContent> ReadSectionsAsync(Stream stream, MachineSnapshot? since, CancellationToken cancellationToken)
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
        SnapshotImage[]? images = null;
        bool hasPieces = false;
        using MemoryStream events = new(), answers = new();
        byte[] decompressed = new byte[PieceSize];
        try
        {
            (SnapshotHeader header, regions) = ReadHeader(await ReadAsync(SectionKind.Header).ConfigureAwait(false), version, since);
            byte[] state = await ReadAsync(SectionKind.State).ConfigureAwait(false);
            StateReader.PartsOf(state);
            while (true)
            {
                (SectionKind kind, ReadOnlyMemory<byte> content) = await sections.ReadAsync(MostOf, cancellationToken).ConfigureAwait(false);
                if (kind == SectionKind.End)
                {
                    foreach (SnapshotRegion region in regions)
                        region.End();
                    InputLog? log = events.Length + answers.Length == 0 ? null : InputLog.Parse(Content(events), Content(answers));
                    return new SectionContent(new MachineSnapshot(header, regions, state), log, images, begin.Length + sections.Length);
                }

                switch (kind)
                {
                    case SectionKind.Memory when images is null:
                        ReadPiece(content.Span, regions, decompressed);
                        hasPieces = true;
                        break;
                    case SectionKind.Image when version >= 3 && !hasPieces && !regions.Any(region => region.IsOfChanges):
                        images ??= [.. regions.Select(region => new SnapshotImage(region.Size))];
                        ReadImageList(content.Span, regions, images);
                        break;
                    case SectionKind.Events:
                        events.Write(content.Span);
                        break;
                    case SectionKind.Answers:
                        answers.Write(content.Span);
                        break;
                    default:
                        throw new InvalidSnapshotException($"The snapshot has a section of kind {kind} behind its state.");
                }
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
            (SectionKind kind, ReadOnlyMemory<byte> content) = await sections.ReadAsync(MostOf, cancellationToken).ConfigureAwait(false);
            return kind == wanted ? content.ToArray() : throw new InvalidSnapshotException($"The snapshot has a section of kind {kind} where {wanted} is expected.");
        }

        static long MostOf(SectionKind kind) => kind switch
        {
            SectionKind.Header => MaxHeader,
            SectionKind.State => Array.MaxLength,
            SectionKind.Events or SectionKind.Answers => PieceSize,
            SectionKind.Image => SnapshotImage.MaxSection,
            SectionKind.Memory => PieceHead + BrotliEncoder.GetMaxCompressedLength(PieceSize),
            _ => 0,
        };

        static ReadOnlySpan<byte> Content(MemoryStream log) => log.GetBuffer().AsSpan(0, checked((int)log.Length));
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
    /// <summary>What the sections of a file hold.</summary>
    /// <param name="Snapshot">The snapshot, without what stands in images.</param>
    /// <param name="Log">The log of a recording.</param>
    /// <param name="Images">The images of memory behind the sections; <see langword="null"/> for a file that has none.</param>
    /// <param name="Length">The length of all sections with what stands before them, in bytes.</param>
    private sealed record SectionContent(MachineSnapshot Snapshot, InputLog? Log, SnapshotImage[]? Images, long Length);
}
