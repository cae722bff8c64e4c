using System.Buffers.Binary;
using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;

namespace VirtKit.State;

/// <summary>Where one region's image in a snapshot file has something else than zeroes, in blocks, each with its checksum (docs/snapshot-format.md).</summary>
internal sealed class SnapshotImage
{
    /// <summary>Images begin at multiples of this, which is the largest page of any host.</summary>
    public const int BlockSize = 64 << 10;

    private const int EntrySize = 16, MaxEntries = 1 << 16;

    /// <summary>The longest content of a section: the region's number, 4 bytes of zeroes, and entries.</summary>
    public const int MaxSection = sizeof(ulong) + MaxEntries * EntrySize;

    /// <summary>How many blocks are verified as one piece of work.</summary>
    private const int Batch = 64;

    private readonly ulong _size;
    private readonly List<Block> _blocks = [];

    public SnapshotImage(ulong size) => _size = size;

    /// <summary>The blocks of a region's content.</summary>
    public SnapshotImage(SnapshotRegion region) : this(region.Size)
    {
        byte[] scratch = new byte[BlockSize];
        long next = 0;
        foreach ((long offset, long length) in region.Candidates())
        {
            for (next = Math.Max(next, offset / BlockSize * BlockSize); next < offset + length; next += BlockSize)
            {
                ReadOnlySpan<byte> bytes = region.Read(next, LengthAt(next), scratch).Span;
                if (bytes.ContainsAnyExcept((byte)0))
                    _blocks.Add(new Block(next, XxHash3.HashToUInt64(bytes)));
            }
        }
    }

    /// <summary>The blocks, in ascending order.</summary>
    public IReadOnlyList<Block> Blocks => _blocks;

    /// <summary>Where the image begins that lies behind a place of the file.</summary>
    public static long Begin(long place) => checked(place + BlockSize - 1) / BlockSize * BlockSize;

    public int LengthAt(long offset) => (int)Math.Min(BlockSize, _size - (ulong)offset);

    /// <summary>The contents of the sections, one at least.</summary>
    public IEnumerable<byte[]> Write(int region)
    {
        int at = 0;
        do
        {
            int count = Math.Min(MaxEntries, _blocks.Count - at);
            byte[] content = new byte[sizeof(ulong) + count * EntrySize];
            BinaryPrimitives.WriteInt32LittleEndian(content, region);
            for (int i = 0; i < count; i++, at++)
            {
                Span<byte> entry = content.AsSpan(sizeof(ulong) + i * EntrySize);
                BinaryPrimitives.WriteInt64LittleEndian(entry, _blocks[at].Offset);
                BinaryPrimitives.WriteUInt64LittleEndian(entry[sizeof(ulong)..], _blocks[at].Hash);
            }

            yield return content;
        }
        while (at < _blocks.Count);
    }

    /// <summary>Takes a section of the file.</summary>
    /// <param name="entries">What stands behind its first 8 bytes.</param>
    /// <exception cref="InvalidSnapshotException">Its blocks do not lie in the region, or not in ascending order.</exception>
    public void Read(ReadOnlySpan<byte> entries)
    {
        if (entries.Length % EntrySize != 0)
            throw new InvalidSnapshotException("The list of an image's blocks is cut off.");
        for (; !entries.IsEmpty; entries = entries[EntrySize..])
        {
            ulong offset = BinaryPrimitives.ReadUInt64LittleEndian(entries);
            if (offset >= _size || offset % BlockSize != 0 || (_blocks.Count > 0 && (long)offset <= _blocks[^1].Offset))
                throw new InvalidSnapshotException($"The image's block at {offset} does not belong there.");
            _blocks.Add(new Block((long)offset, BinaryPrimitives.ReadUInt64LittleEndian(entries[sizeof(ulong)..])));
        }
    }

    /// <exception cref="InvalidSnapshotException">It is not what was saved.</exception>
    public static void Verify(ReadOnlySpan<byte> content, Block block)
    {
        if (XxHash3.HashToUInt64(content) != block.Hash)
            throw new InvalidSnapshotException($"The snapshot's memory is damaged in the block at {block.Offset}: its checksum does not fit.");
    }

    /// <summary>Verifies an image where it lies in its file. It is read rather than mapped for that: a disk that fails, or somebody who cuts the file off meanwhile, then makes an exception.</summary>
    /// <param name="file">The file.</param>
    /// <param name="start">Where the image begins.</param>
    /// <param name="data">The ranges of the image that may hold something else than zeroes, in ascending order.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="InvalidSnapshotException">It is damaged.</exception>
    public async Task VerifyAsync(SafeFileHandle file, long start, IEnumerable<(long Offset, long Length)> data, CancellationToken cancellationToken)
    {
        await Parallel.ForAsync(0, (_blocks.Count + Batch - 1) / Batch, cancellationToken, (batch, _) =>
        {
            byte[] content = new byte[BlockSize];
            foreach (Block block in _blocks.Skip(batch * Batch).Take(Batch))
                Verify(ReadAt(file, start, block.Offset, content), block);
            return ValueTask.CompletedTask;
        }).ConfigureAwait(false);
        int at = 0;
        byte[] scratch = new byte[BlockSize];
        foreach ((long offset, long length) in data)
        {
            for (long hole = offset / BlockSize * BlockSize; hole < offset + length; hole += BlockSize)
            {
                cancellationToken.ThrowIfCancellationRequested();
                while (at < _blocks.Count && _blocks[at].Offset < hole)
                    at++;
                if ((at == _blocks.Count || _blocks[at].Offset != hole) && ReadAt(file, start, hole, scratch).ContainsAnyExcept((byte)0))
                    throw new InvalidSnapshotException($"The snapshot's memory is damaged in the block at {hole}: it was zero.");
            }
        }
    }

    private ReadOnlySpan<byte> ReadAt(SafeFileHandle file, long start, long offset, byte[] content)
    {
        Span<byte> wanted = content.AsSpan(0, LengthAt(offset));
        for (int done = 0; done < wanted.Length;)
        {
            int count = RandomAccess.Read(file, wanted[done..], start + offset + done);
            done += count > 0 ? count : throw new InvalidSnapshotException("The snapshot is truncated in its memory.");
        }

        return wanted;
    }

    /// <summary>A block that is not all zeroes.</summary>
    /// <param name="Offset">Where it begins in the region.</param>
    /// <param name="Hash">Its XxHash3.</param>
    public readonly record struct Block(long Offset, ulong Hash);
}
