namespace VirtKit.Devices.Storage;

/// <summary>What a disk's bytes are kept in.</summary>
/// <remarks>Used by one thread at a time. Ranges lie inside <see cref="Length"/>; offsets and lengths are multiples of <see cref="SectorSize"/>.
/// A host that fails throws <see cref="IOException"/>, which the guest sees as an error of the request.</remarks>
public interface IBlockBackend
{
    /// <summary>The unit of a disk, in bytes.</summary>
    const int SectorSize = 512;

    /// <summary>The length in bytes, a multiple of <see cref="SectorSize"/>. Constant.</summary>
    long Length { get; }

    /// <summary>Whether the disk only reads. Constant.</summary>
    bool IsReadOnly { get; }

    /// <summary>Reads bytes.</summary>
    /// <param name="offset">Offset of the first byte.</param>
    /// <param name="destination">Filled whole. A piece of a request: its length need not be a multiple of the sector size.</param>
    /// <exception cref="IOException">The host failed.</exception>
    void Read(long offset, Span<byte> destination);

    /// <summary>Writes bytes. Not called for a read-only disk.</summary>
    /// <param name="offset">Offset of the first byte.</param>
    /// <param name="source">Written whole. A piece of a request: its length need not be a multiple of the sector size.</param>
    /// <exception cref="IOException">The host failed; which bytes were written is not known.</exception>
    void Write(long offset, ReadOnlySpan<byte> source);

    /// <summary>Makes zeroes of a range. Not called for a read-only disk.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    void WriteZeroes(long offset, long length);

    /// <summary>The guest does not need the bytes of a range any more; what it reads there is not defined. Not called for a read-only disk.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    void Discard(long offset, long length);

    /// <summary>Returns when everything written is on stable storage.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    void Flush();
}

/// <summary>What a guest may do with a disk.</summary>
public enum BlockAccess
{
    /// <summary>Read and write.</summary>
    ReadWrite,

    /// <summary>Only read.</summary>
    ReadOnly,
}
