using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace VirtKit.State;

/// <summary>The file of a snapshot (docs/snapshot-format.md).</summary>
public sealed partial class MachineSnapshot
{
    /// <summary>The version that this build writes; it reads all up to this.</summary>
    public const int FormatVersion = 3;

    private const int PieceSize = 1 << 20, PieceHead = 16, FingerprintSize = 16, MaxRegions = 256, MaxHeader = 1 << 20;
    /// <summary>A guest's memory is thousands of pieces of a few pages: a call of the host for each would take longer than all of the bytes.</summary>
    private const int FileBuffer = 1 << 20;

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
    public Task SaveAsync(string path, SnapshotOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default) =>
        SaveAsync(path, options, null, progress, cancellationToken);

    /// <summary>Writes the snapshot to a stream, from where that stands.</summary>
    /// <param name="stream">The stream, which stays open and is not flushed.</param>
    /// <inheritdoc cref="SaveAsync(string, SnapshotOptions?, IProgress{double}?, CancellationToken)"/>
    public Task SaveAsync(Stream stream, SnapshotOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default) =>
        SaveAsync(stream, options, null, progress, cancellationToken);

    /// <summary>Writes the snapshot, with the log of a recording that begins with it.</summary>
    internal async Task SaveAsync(string path, SnapshotOptions? options, InputLog? log, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using Held held = Hold();
        using Held? heldToo = HoldEarlier(options?.Since);
        MemoryContent memory = MemoryFor(options);
        string partial = $"{path}.{Guid.NewGuid():N}.partial";
        try
        {
            var file = new FileStream(partial, new FileStreamOptions
            {
                Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None, BufferSize = FileBuffer, Options = FileOptions.Asynchronous,
                // In one piece on the disk, which makes the flush shorter.
                PreallocationSize = options?.Compression is null ? _state.Length + memory.Pieces.Sum(list => list.Sum(piece => (long)piece.Length)) : 0,
            });
            await using (file.ConfigureAwait(false))
            {
                await WriteAsync(file, isNew: true, memory, options, log, progress, cancellationToken).ConfigureAwait(false);
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

    /// <inheritdoc cref="SaveAsync(string, SnapshotOptions?, InputLog?, IProgress{double}?, CancellationToken)"/>
    internal async Task SaveAsync(Stream stream, SnapshotOptions? options, InputLog? log, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using Held held = Hold();
        using Held? heldToo = HoldEarlier(options?.Since);
        await WriteAsync(stream, isNew: false, MemoryFor(options), options, log, progress, cancellationToken).ConfigureAwait(false);
    }

    private async Task WriteAsync(Stream stream, bool isNew, MemoryContent memory, SnapshotOptions? options, InputLog? log, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        byte[] begin = new byte[Magic.Length + 4];
        Magic.CopyTo(begin);
        BinaryPrimitives.WriteInt32LittleEndian(begin.AsSpan(Magic.Length), FormatVersion);
        await stream.WriteAsync(begin, cancellationToken).ConfigureAwait(false);
        var sections = new SectionWriter(stream);
        await sections.WriteAsync(SectionKind.Header, (byte[])[.. WriteHeader(), .. FingerprintOf(options?.Since)], cancellationToken).ConfigureAwait(false);
        await sections.WriteAsync(SectionKind.State, _state, cancellationToken).ConfigureAwait(false);
        byte[] head = new byte[PieceHead], compressed = new byte[options?.Compression is null ? 0 : BrotliEncoder.GetMaxCompressedLength(PieceSize)];
        for (int i = 0; i < memory.Pieces.Length; i++)
        {
            foreach (SnapshotPiece piece in memory.Pieces[i])
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

        for (int i = 0; i < memory.Images.Length; i++)
        {
            foreach (byte[] list in memory.Images[i].Write(i))
                await sections.WriteAsync(SectionKind.Image, list, cancellationToken).ConfigureAwait(false);
        }

        await WriteLogAsync(SectionKind.Events, log?.Events ?? default).ConfigureAwait(false);
        await WriteLogAsync(SectionKind.Answers, log?.Answers ?? default).ConfigureAwait(false);
        await sections.WriteAsync(SectionKind.End, default, cancellationToken).ConfigureAwait(false);
        if (memory.Images.Length != 0)
            await WriteImagesAsync(stream, memory.Images, begin.Length + sections.Length, isNew, progress, cancellationToken).ConfigureAwait(false);
        progress?.Report(1);

        async ValueTask WriteLogAsync(SectionKind kind, ReadOnlyMemory<byte> content)
        {
            for (; !content.IsEmpty; content = content[Math.Min(content.Length, PieceSize)..])
                await sections.WriteAsync(kind, content[..Math.Min(content.Length, PieceSize)], cancellationToken).ConfigureAwait(false);
        }
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
        FileStream file = Open(path);
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
        (MachineSnapshot snapshot, InputLog? log) = await LoadWithLogAsync(stream, since, cancellationToken).ConfigureAwait(false);
        try
        {
            RequireSnapshot(log);
            return snapshot;
        }
        catch
        {
            snapshot.Dispose();
            throw;
        }
    }

    /// <summary>Opens a file to read it.</summary>
    internal static FileStream Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new FileStream(path, new FileStreamOptions { BufferSize = FileBuffer, Options = FileOptions.Asynchronous | FileOptions.SequentialScan });
    }

    /// <exception cref="InvalidSnapshotException">It is a recording.</exception>
    private static void RequireSnapshot(InputLog? log)
    {
        if (log is not null)
            throw new InvalidSnapshotException($"This is a recording: {nameof(MachineRecording)} reads it, and has the snapshot of its beginning.");
    }

    /// <summary>The memory that is written.</summary>
    /// <exception cref="ArgumentException">The options do not go together.</exception>
    private MemoryContent MemoryFor(SnapshotOptions? options)
    {
        if (options is { Layout: not (SnapshotLayout.Packed or SnapshotLayout.Mappable) })
            throw new ArgumentOutOfRangeException(nameof(options), options.Layout, "There is no such layout.");
        if (options is not { Layout: SnapshotLayout.Mappable })
            return new MemoryContent([.. _regions.Select((region, i) => options?.Since is { } since ? region.PiecesSince(since._regions[i], PieceSize) : region.Pieces(PieceSize))], []);
        if (options.Compression is not null || options.Since is not null)
            throw new ArgumentException($"A file that is {nameof(SnapshotLayout.Mappable)} has all memory as it is: without {nameof(SnapshotOptions.Compression)} and {nameof(SnapshotOptions.Since)}.", nameof(options));
        return new MemoryContent([], [.. _regions.Select(region => new SnapshotImage(region))]);
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

    private static bool Shrinks(ref ReadOnlyMemory<byte> content, byte[] compressed, int written)
    {
        if (written >= content.Length)
            return false;
        content = compressed.AsMemory(0, written);
        return true;
    }

    private static int QualityOf(CompressionLevel level) => level switch { CompressionLevel.Fastest => 1, CompressionLevel.NoCompression => 0, CompressionLevel.SmallestSize => 11, _ => 4 };
    /// <summary>What of memory is written, by region: pieces among the sections, or images behind them.</summary>
    private readonly record struct MemoryContent(List<SnapshotPiece>[] Pieces, SnapshotImage[] Images);
}
