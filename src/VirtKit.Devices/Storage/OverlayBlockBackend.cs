using VirtKit.State;

namespace VirtKit.Devices.Storage;

/// <summary>A writable disk over another one that stays as it is: what is written is kept aside until <see cref="Revert"/> or <see cref="Dispose"/> (copy-on-write).</summary>
/// <remarks>The first blocks written are kept in managed memory, further ones in a temporary file that has no name on Unix and goes away with the overlay or the
/// process. Each block of 64 KiB also takes some 50 bytes of managed memory to be found. A guest that writes more than the limit, or more than the host's temporary
/// folder has room for, gets I/O errors. As every disk, it is used by one thread at a time.</remarks>
public sealed class OverlayBlockBackend : IBlockBackend, ISnapshotable, IDisposable
{
    /// <summary>The unit of copying, in bytes.</summary>
    private const int BlockSize = 64 << 10;

    private static readonly byte[] Zeroes = new byte[BlockSize];

    private readonly IBlockBackend _origin;
    private readonly long _limit, _spillAfter;
    private readonly string? _folder;
    private readonly Dictionary<long, byte[]> _inMemory = [];

    /// <summary>Where each block that is not in memory starts in the file.</summary>
    private readonly Dictionary<long, long> _inFile = [];
    private FileStream? _file;
    private byte[]? _scratch;
    private long _memoryUsed;
    private bool _disposed;

    /// <summary>Lays an overlay over a disk.</summary>
    /// <param name="origin">The disk below, which is only read and stays the caller's.</param>
    /// <param name="limit">The most bytes to keep, 1 or more; 1 GiB. A write past it fails with <see cref="IOException"/>, which the guest sees as an I/O error.</param>
    /// <param name="spillAfter">How many of them stay in managed memory, 0 or more; 16 MiB.</param>
    /// <param name="folder">Where the temporary file of the others is made when it is first needed; the host's folder for temporary files when
    /// <see langword="null"/>. Mind that this folder may itself be in memory (tmpfs).</param>
    /// <exception cref="ArgumentException">The origin's length is not a disk's, or a number is out of its range.</exception>
    public OverlayBlockBackend(IBlockBackend origin, long limit = 1L << 30, long spillAfter = 16 << 20, string? folder = null)
    {
        ArgumentNullException.ThrowIfNull(origin);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(spillAfter);
        if (folder is not null)
            ArgumentException.ThrowIfNullOrEmpty(folder);
        Length = origin.Length;
        if (Length < IBlockBackend.SectorSize || Length % IBlockBackend.SectorSize != 0)
            throw new ArgumentException($"The disk below has {Length} bytes, which are not whole sectors, one or more.", nameof(origin));
        _origin = origin;
        _limit = limit;
        _spillAfter = spillAfter;
        _folder = folder;
    }

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public bool IsReadOnly => false;

    /// <summary>How many bytes the written blocks take, in memory and in the file.</summary>
    public long BytesUsed => _memoryUsed + BytesSpilled;

    /// <summary>How many of them are in the temporary file.</summary>
    public long BytesSpilled { get; private set; }

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        BlockRange.ThrowIfOutside(offset, destination.Length, Length);
        while (!destination.IsEmpty)
        {
            (long index, int start, int count) = Piece(offset, destination.Length);
            Span<byte> piece = destination[..count];
            if (_inMemory.TryGetValue(index, out byte[]? block))
                block.AsSpan(start, count).CopyTo(piece);
            else if (_inFile.TryGetValue(index, out long at))
                HostFile.Read(_file!.SafeFileHandle, at + start, piece);
            else
                _origin.Read(offset, piece);
            destination = destination[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        BlockRange.ThrowIfOutside(offset, source.Length, Length);
        while (!source.IsEmpty)
        {
            (long index, int start, int count) = Piece(offset, source.Length);
            ReadOnlySpan<byte> piece = source[..count];
            if (_inMemory.TryGetValue(index, out byte[]? block))
                piece.CopyTo(block.AsSpan(start));
            else if (_inFile.TryGetValue(index, out long at))
                HostFile.Write(_file!.SafeFileHandle, at + start, piece);
            else
                AddBlock(index, start, piece);
            source = source[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    public void WriteZeroes(long offset, long length)
    {
        BlockRange.ThrowIfOutside(offset, length, Length);
        while (length > 0)
        {
            (_, _, int count) = Piece(offset, length);
            Write(offset, Zeroes.AsSpan(0, count));
            length -= count;
            offset += count;
        }
    }

    /// <summary>Keeps the bytes: a block given back would show the origin's again, which the guest may have meant to be gone.</summary>
    public void Discard(long offset, long length) => BlockRange.ThrowIfOutside(offset, length, Length);

    /// <summary>Does nothing: what is kept aside lasts no longer than the overlay.</summary>
    public void Flush() { }

    /// <summary>Forgets everything written: the disk reads as its origin again. The guest does not use it meanwhile.</summary>
    public void Revert()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Forget();
    }

    /// <summary>Forgets everything written and releases the temporary file. The machine that uses the disk has been disposed of.</summary>
    public void Dispose()
    {
        _disposed = true;
        Forget();
    }

    /// <summary>Passes over the written blocks, and what the disk below says of itself. They fit an overlay over the same disk: where that is no file, that it is the same is the host's
    /// affair.</summary>
    /// <exception cref="InvalidSnapshotException">The saved blocks are not of a disk of this length, or more than the limit. The overlay has not changed.</exception>
    /// <exception cref="IOException">The temporary file cannot be read or written; when it was being restored, the overlay has lost what was written to it.</exception>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        ObjectDisposedException.ThrowIf(_disposed, this);
        long length = Length;
        int version = visitor.Version(2);
        visitor.Field("length", ref length);
        visitor.Require(length == Length, "length", $"is {length}, and the disk has {Length} bytes");
        if (version >= 2)
            AttachedBackends.Visit(visitor, "origin", _origin);
        if (visitor.IsReading)
            Restore(visitor);
        else
            Save(visitor);
    }

    private void Save(StateVisitor visitor)
    {
        long[] written = [.. _inMemory.Keys.Concat(_inFile.Keys).Order()];
        int count = written.Length;
        visitor.Field("blocks", ref count);
        foreach (long index in written)
        {
            long at = index;
            byte[] block = new byte[SizeOf(index)];
            Read(index * BlockSize, block);
            visitor.Field("index", ref at);
            visitor.Bytes("block", ref block, BlockSize);
        }
    }

    private void Restore(StateVisitor visitor)
    {
        int count = 0;
        visitor.Field("blocks", ref count);
        visitor.Require(count >= 0, "blocks", $"is {count}");
        // All are read before the first one is kept. What the bytes do not hold is not allocated for.
        List<(long Index, byte[] Block)> blocks = [];
        long last = -1, total = 0;
        for (int i = 0; i < count; i++)
        {
            long index = 0;
            byte[] block = [];
            visitor.Field("index", ref index);
            visitor.Bytes("block", ref block, BlockSize);
            visitor.Require(index > last && index < (Length + BlockSize - 1) / BlockSize, "index", $"is {index}");
            visitor.Require(block.Length == SizeOf(index), "block", $"{index} has {block.Length} bytes");
            visitor.Require((total += block.Length) <= _limit, "blocks", $"hold more than the overlay's limit of {_limit} bytes");
            last = index;
            blocks.Add((index, block));
        }

        Forget();
        foreach ((long index, byte[] block) in blocks)
            AddBlock(index, 0, block);
    }

    private int SizeOf(long index) => (int)Math.Min(BlockSize, Length - index * BlockSize);

    private static (long Index, int Start, int Count) Piece(long offset, long length)
    {
        int start = (int)(offset % BlockSize);
        return (offset / BlockSize, start, (int)Math.Min(length, BlockSize - start));
    }

    /// <summary>Keeps a block for the first time: what is written, and around it what the origin has.</summary>
    private void AddBlock(long index, int start, ReadOnlySpan<byte> written)
    {
        int length = SizeOf(index);
        if (length > _limit - BytesUsed)
            throw new IOException($"The overlay is full: {_limit} bytes.");
        bool spills = length > _spillAfter - _memoryUsed;
        byte[] block = spills ? _scratch ??= new byte[BlockSize] : new byte[length];
        Span<byte> content = block.AsSpan(0, length);
        if (written.Length < length)
            _origin.Read(index * BlockSize, content);
        written.CopyTo(content[start..]);
        if (spills)
        {
            _file ??= SpillFile.Create(_folder);
            HostFile.Write(_file.SafeFileHandle, BytesSpilled, content);
            _inFile.Add(index, BytesSpilled);
            BytesSpilled += length;
        }
        else
        {
            _inMemory.Add(index, block);
            _memoryUsed += length;
        }
    }

    private void Forget()
    {
        _inMemory.Clear();
        _inFile.Clear();
        _file?.Dispose();
        _file = null;
        _memoryUsed = BytesSpilled = 0;
    }
}
