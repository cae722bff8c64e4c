namespace VirtKit.Devices.Storage;

/// <summary>A disk in the host's managed memory, all of it allocated from the start.</summary>
public sealed class MemoryBlockBackend : IBlockBackend
{
    private readonly Memory<byte> _bytes;

    /// <summary>A disk of zeroes.</summary>
    /// <param name="length">The length in bytes, a multiple of 512 from 512 to 2,147,483,136.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is none of these.</exception>
    public MemoryBlockBackend(int length) : this(Allocate(length)) { }

    /// <summary>A disk over memory that the caller keeps and sees change.</summary>
    /// <param name="bytes">The content; its length is a multiple of 512, and not 0.</param>
    /// <param name="access">What the guest may do.</param>
    /// <exception cref="ArgumentException">The length is not such a multiple, or the access is unknown.</exception>
    public MemoryBlockBackend(Memory<byte> bytes, BlockAccess access = BlockAccess.ReadWrite)
    {
        if (bytes.IsEmpty || bytes.Length % IBlockBackend.SectorSize != 0)
            throw new ArgumentException($"{bytes.Length} bytes are not whole sectors of {IBlockBackend.SectorSize}, one or more.", nameof(bytes));
        BlockRange.ThrowIfUndefined(access);
        _bytes = bytes;
        IsReadOnly = access == BlockAccess.ReadOnly;
    }

    /// <inheritdoc/>
    public long Length => _bytes.Length;

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> destination)
    {
        BlockRange.ThrowIfOutside(offset, destination.Length, Length);
        _bytes.Span.Slice((int)offset, destination.Length).CopyTo(destination);
    }

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        BlockRange.ThrowIfNotWritable(this, offset, source.Length);
        source.CopyTo(_bytes.Span.Slice((int)offset, source.Length));
    }

    /// <inheritdoc/>
    public void WriteZeroes(long offset, long length)
    {
        BlockRange.ThrowIfNotWritable(this, offset, length);
        _bytes.Span.Slice((int)offset, (int)length).Clear();
    }

    /// <summary>Keeps the bytes.</summary>
    public void Discard(long offset, long length) => BlockRange.ThrowIfNotWritable(this, offset, length);

    /// <inheritdoc/>
    public void Flush() { }

    private static byte[] Allocate(int length)
    {
        if (length < IBlockBackend.SectorSize || length % IBlockBackend.SectorSize != 0)
            throw new ArgumentOutOfRangeException(nameof(length), length, $"A disk has whole sectors of {IBlockBackend.SectorSize} bytes, one or more.");
        return new byte[length];
    }
}
