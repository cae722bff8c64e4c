using Microsoft.Win32.SafeHandles;

namespace VirtKit.Devices.Storage;

/// <summary>A disk in a raw image file.</summary>
public sealed class FileBlockBackend : IBlockBackend, IDisposable
{
    private static readonly byte[] Zeroes = new byte[64 << 10];

    private readonly SafeFileHandle _file;

    /// <summary>Opens an image.</summary>
    /// <param name="path">A file whose length is a multiple of 512 bytes.</param>
    /// <param name="access">What the guest may do. Writing locks the file against other writers where the host can.</param>
    /// <exception cref="VirtKitException">The file cannot be opened, or its length is not a multiple of 512 bytes.</exception>
    public FileBlockBackend(string path, BlockAccess access = BlockAccess.ReadWrite)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        IsReadOnly = access == BlockAccess.ReadOnly;
        try
        {
            _file = IsReadOnly
                ? File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, FileOptions.RandomAccess)
                : File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, FileOptions.RandomAccess);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new VirtKitException($"The disk image {path} cannot be opened: {e.Message}", e);
        }

        Length = RandomAccess.GetLength(_file);
        if (Length % IBlockBackend.SectorSize != 0)
        {
            _file.Dispose();
            throw new VirtKitException($"The disk image {path} has {Length} bytes, which are not whole sectors of {IBlockBackend.SectorSize}.");
        }
    }

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int count = RandomAccess.Read(_file, destination, offset);
            if (count == 0)
                throw new EndOfStreamException("The disk image has been cut short.");
            destination = destination[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source) => RandomAccess.Write(_file, source, offset);

    /// <inheritdoc/>
    public void WriteZeroes(long offset, long length)
    {
        for (long done = 0; done < length; done += Zeroes.Length)
            RandomAccess.Write(_file, Zeroes.AsSpan(0, (int)Math.Min(Zeroes.Length, length - done)), offset + done);
    }

    /// <summary>Keeps the bytes: the host's files have no portable way to give them back.</summary>
    public void Discard(long offset, long length) { }

    /// <inheritdoc/>
    public void Flush()
    {
        if (!IsReadOnly)
            RandomAccess.FlushToDisk(_file);
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();
}
