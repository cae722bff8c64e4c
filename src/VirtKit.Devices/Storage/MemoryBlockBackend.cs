namespace VirtKit.Devices.Storage;

/// <summary>A disk in the host's memory.</summary>
public sealed class MemoryBlockBackend : IBlockBackend
{
    private readonly Memory<byte> _bytes;

    /// <summary>A disk of zeroes.</summary>
    /// <param name="length">The length in bytes, a multiple of 512 up to 2^31 - 512.</param>
    public MemoryBlockBackend(int length) : this(new byte[length]) { }

    /// <summary>A disk over memory that the caller keeps and sees change.</summary>
    /// <param name="bytes">The content; its length is a multiple of 512.</param>
    /// <param name="access">What the guest may do.</param>
    /// <exception cref="ArgumentException">The length is not a multiple of 512.</exception>
    public MemoryBlockBackend(Memory<byte> bytes, BlockAccess access = BlockAccess.ReadWrite)
    {
        if (bytes.Length % IBlockBackend.SectorSize != 0)
            throw new ArgumentException($"{bytes.Length} bytes are not whole sectors.", nameof(bytes));
        _bytes = bytes;
        IsReadOnly = access == BlockAccess.ReadOnly;
    }

    /// <inheritdoc/>
    public long Length => _bytes.Length;

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> destination) => _bytes.Span.Slice((int)offset, destination.Length).CopyTo(destination);

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source) => source.CopyTo(_bytes.Span.Slice((int)offset, source.Length));

    /// <inheritdoc/>
    public void WriteZeroes(long offset, long length) => _bytes.Span.Slice((int)offset, (int)length).Clear();

    /// <inheritdoc/>
    public void Discard(long offset, long length) { }

    /// <inheritdoc/>
    public void Flush() { }
}
