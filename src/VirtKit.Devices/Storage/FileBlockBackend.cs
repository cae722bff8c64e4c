using Microsoft.Win32.SafeHandles;

namespace VirtKit.Devices.Storage;

/// <summary>A disk in a raw image file or, on Linux, a block device.</summary>
/// <remarks>
/// While it is open the file is locked, for this process and for others: a disk that is written is used by nobody else, one that is only read by other readers.
/// Who comes second is refused. The lock belongs to the file, so that another path, a symbolic or a hard link leads to the same one, and it ends with
/// <see cref="Dispose"/> or with the process. On Unix it is an advisory lock (<c>flock</c>): programs that do not ask for one (<c>cp</c>, QEMU, which locks ranges)
/// are not kept out, and nothing is locked where the file system has no locks or .NET's switch <c>System.IO.DisableFileLocking</c> is on.
/// </remarks>
/// <example>
/// An image that several machines share, each with its own writes:
/// <code>
/// using var image = new FileBlockBackend("disk.img", BlockAccess.ReadOnly);
/// using var overlay = new OverlayBlockBackend(image);
/// using var linux = new RiscVVirt(new RiscVVirtOptions { Disks = [overlay] });
/// </code>
/// </example>
public sealed class FileBlockBackend : IBlockBackend, IDisposable
{
    private static readonly byte[] Zeroes = new byte[64 << 10];

    private readonly SafeFileHandle _file;

    /// <summary>Opens an image and locks it.</summary>
    /// <param name="path">A regular file of one sector or more, whole sectors of 512 bytes, or a block device. The length is taken once, here.</param>
    /// <param name="access">What the guest may do: <see cref="BlockAccess.ReadWrite"/> takes the file for itself, <see cref="BlockAccess.ReadOnly"/> shares it with
    /// other readers.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="VirtKitException">The file cannot be opened, is in use, is no disk image or device (a folder, FIFO, socket or character device), or its length
    /// is 0 or not a multiple of 512 bytes. The message names it.</exception>
    public FileBlockBackend(string path, BlockAccess access = BlockAccess.ReadWrite)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        BlockRange.ThrowIfUndefined(access);
        IsReadOnly = access == BlockAccess.ReadOnly;
        try
        {
            // NOTE(design): the length is asked by name and before the file is opened: opening a FIFO would wait for a process at its other end, perhaps for ever.
            Length = ImageLength.Of(path);
            // .NET maps FileShare.None to an exclusive lock, and everything else to a shared one.
            _file = IsReadOnly
                ? File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.RandomAccess)
                : File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, FileOptions.RandomAccess);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            string hint = IsReadOnly ? "A disk that somebody writes is not shared." : "A disk that is written is used by nobody else.";
            throw new VirtKitException($"The disk image {path} cannot be opened: {e.Message} {hint}", e);
        }
    }

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> destination)
    {
        BlockRange.ThrowIfOutside(offset, destination.Length, Length);
        HostFile.Read(_file, offset, destination);
    }

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        BlockRange.ThrowIfNotWritable(this, offset, source.Length);
        HostFile.Write(_file, offset, source);
    }

    /// <inheritdoc/>
    public void WriteZeroes(long offset, long length)
    {
        BlockRange.ThrowIfNotWritable(this, offset, length);
        for (long done = 0; done < length; done += Zeroes.Length)
            HostFile.Write(_file, offset + done, Zeroes.AsSpan(0, (int)Math.Min(Zeroes.Length, length - done)));
    }

    /// <summary>Keeps the bytes: the host's files have no portable way to give them back.</summary>
    public void Discard(long offset, long length) => BlockRange.ThrowIfNotWritable(this, offset, length);

    /// <inheritdoc/>
    public void Flush()
    {
        if (!IsReadOnly)
            RandomAccess.FlushToDisk(_file);
    }

    /// <summary>Closes the file and gives its lock back.</summary>
    public void Dispose() => _file.Dispose();
}
