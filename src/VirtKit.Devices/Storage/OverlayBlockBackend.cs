namespace VirtKit.Devices.Storage;

/// <summary>A writable disk over another one that stays as it is: what is written is kept in memory (copy-on-write).</summary>
/// <param name="origin">The disk below, which is only read and stays the caller's.</param>
/// <param name="memoryLimit">The most bytes to keep, 1 or more. A write past it fails with <see cref="IOException"/>.</param>
public sealed class OverlayBlockBackend(IBlockBackend origin, long memoryLimit = 1L << 30) : IBlockBackend
{
    /// <summary>The unit of copying, in bytes.</summary>
    private const int BlockSize = 64 << 10;

    private readonly IBlockBackend _origin = origin ?? throw new ArgumentNullException(nameof(origin));
    private readonly long _memoryLimit = memoryLimit > 0 ? memoryLimit : throw new ArgumentOutOfRangeException(nameof(memoryLimit));
    private readonly Dictionary<long, byte[]> _blocks = [];

    /// <inheritdoc/>
    public long Length => _origin.Length;

    /// <inheritdoc/>
    public bool IsReadOnly => false;

    /// <summary>How many bytes of memory the written blocks take.</summary>
    public long MemoryUsed { get; private set; }

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int start = (int)(offset % BlockSize), count = Math.Min(destination.Length, BlockSize - start);
            if (_blocks.TryGetValue(offset / BlockSize, out byte[]? block))
                block.AsSpan(start, count).CopyTo(destination);
            else
                _origin.Read(offset, destination[..count]);
            destination = destination[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            int start = (int)(offset % BlockSize), count = Math.Min(source.Length, BlockSize - start);
            source[..count].CopyTo(OwnBlock(offset / BlockSize).AsSpan(start));
            source = source[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    public void WriteZeroes(long offset, long length)
    {
        while (length > 0)
        {
            int start = (int)(offset % BlockSize), count = (int)Math.Min(length, BlockSize - start);
            OwnBlock(offset / BlockSize).AsSpan(start, count).Clear();
            length -= count;
            offset += count;
        }
    }

    /// <summary>Keeps the bytes: a block given back would show the origin's again, which the guest may have meant to be gone.</summary>
    public void Discard(long offset, long length) { }

    /// <inheritdoc/>
    public void Flush() { }

    /// <summary>Forgets everything written: the disk reads as its origin again. The guest does not use it meanwhile.</summary>
    public void Revert()
    {
        _blocks.Clear();
        MemoryUsed = 0;
    }

    private byte[] OwnBlock(long index)
    {
        if (_blocks.TryGetValue(index, out byte[]? block))
            return block;
        int length = (int)Math.Min(BlockSize, Length - index * BlockSize);
        if (MemoryUsed + length > _memoryLimit)
            throw new IOException($"The overlay is full: {_memoryLimit} bytes.");
        block = new byte[length];
        _origin.Read(index * BlockSize, block);
        _blocks.Add(index, block);
        MemoryUsed += length;
        return block;
    }
}
