using Microsoft.Win32.SafeHandles;
using VirtKit.State;

namespace VirtKit.Devices.Storage;

/// <summary>A disk in a raw image file or, on Linux, a block device.</summary>
/// <remarks>
/// While it is open the file is locked, for this process and for others: a disk that is written is used by nobody else, one that is only read by other readers.
/// Who comes second is refused. The lock belongs to the file, so that another path, a symbolic or a hard link leads to the same one, and it ends with
/// <see cref="Dispose"/> or with the process. On Unix it is an advisory lock (<c>flock</c>): programs that do not ask for one (<c>cp</c>, QEMU, which locks ranges)
/// are not kept out, and nothing is locked where the file system has no locks or .NET's switch <c>System.IO.DisableFileLocking</c> is on.
/// A snapshot has no content of the file, but knows when it was written to last: a machine whose memory and whose disk are of different times would destroy its file systems, so a restore
/// refuses a file that has changed since (<see cref="AcceptsOtherContent"/>). A block device has no such time.
/// </remarks>
/// <example>
/// An image that several machines share, each with its own writes:
/// <code>
/// using var image = new FileBlockBackend("disk.img", BlockAccess.ReadOnly);
/// using var overlay = new OverlayBlockBackend(image);
/// using var linux = new RiscVVirt(new RiscVVirtOptions { Disks = [overlay] });
/// </code>
/// </example>
public sealed class FileBlockBackend : IBlockBackend, ISnapshotable, IDisposable
{
    private static readonly byte[] Zeroes = new byte[64 << 10];

    private readonly SafeFileHandle _file;

    /// <summary>Whether the time of the last write was saved, and nothing was written since.</summary>
    private bool _isSaved;

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

    /// <summary>Whether a snapshot is restored although the file was written to since: for one whose content the host knows to be that of then, such as a copy. Default:
    /// <see langword="false"/>.</summary>
    public bool AcceptsOtherContent { get; init; }

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
        NoteWritten();
    }

    /// <inheritdoc/>
    public void WriteZeroes(long offset, long length)
    {
        BlockRange.ThrowIfNotWritable(this, offset, length);
        for (long done = 0; done < length; done += Zeroes.Length)
            HostFile.Write(_file, offset + done, Zeroes.AsSpan(0, (int)Math.Min(Zeroes.Length, length - done)));
        NoteWritten();
    }

    /// <summary>Keeps the bytes: the host's files have no portable way to give them back.</summary>
    public void Discard(long offset, long length) => BlockRange.ThrowIfNotWritable(this, offset, length);

    /// <inheritdoc/>
    public void Flush()
    {
        if (!IsReadOnly)
            RandomAccess.FlushToDisk(_file);
    }

    /// <summary>Passes over the length, and the time of the last write.</summary>
    /// <exception cref="InvalidSnapshotException">The file is not the one that was saved, or has changed since.</exception>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        (long length, long now) = (Length, LastWrite().Ticks);
        long written = now;
        visitor.Version(1);
        visitor.Field("length", ref length);
        visitor.Field("written", ref written);
        _isSaved |= !visitor.IsReading;
        visitor.Require(length == Length, "length", $"is {length}, and the disk has {Length} bytes");
        visitor.Require(AcceptsOtherContent || written == now, "written", "is not when the image was written to last: it has changed since the snapshot, or is another one");
    }

    /// <summary>Closes the file and gives its lock back.</summary>
    public void Dispose() => _file.Dispose();

    /// <summary>When the file was written to last. The node of a block device says nothing of its content.</summary>
    private DateTime LastWrite() => RandomAccess.GetLength(_file) == 0 ? DateTime.UnixEpoch : File.GetLastWriteTimeUtc(_file);

    /// <summary>The first write behind a save shows in the file's time, also where the file system counts in ticks of some milliseconds.</summary>
    private void NoteWritten()
    {
        if (!_isSaved)
            return;
        _isSaved = false;
        if (RandomAccess.GetLength(_file) != 0)
            File.SetLastWriteTimeUtc(_file, DateTime.UtcNow);
    }
}
