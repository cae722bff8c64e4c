using Microsoft.Win32.SafeHandles;

namespace VirtKit.Memory;

/// <summary>A file that memory shows (<see cref="HostMemory.TryMap"/>): open, and locked against those who ask, as long as some memory does. Thread-safe.</summary>
/// <param name="handle">The file, open to be read.</param>
internal sealed class MappedFile(SafeFileHandle handle)
{
    private readonly (long Length, DateTime Written) _content = ContentOf(handle);

    public SafeFileHandle Handle => handle;

    public long Length => _content.Length;

    public int Descriptor => (int)handle.DangerousGetHandle();

    /// <summary>Keeps the file open until <see cref="Release"/>.</summary>
    public void Hold()
    {
        bool isHeld = false;
        handle.DangerousAddRef(ref isHeld);
    }

    public void Release() => handle.DangerousRelease();

    /// <exception cref="State.InvalidSnapshotException">Somebody has written to the file, or cut it off.</exception>
    public void RequireUnchanged()
    {
        if (ContentOf(handle) != _content)
            throw new State.InvalidSnapshotException("The snapshot's file was changed while it is mapped.");
    }

    private static (long, DateTime) ContentOf(SafeFileHandle handle) => (RandomAccess.GetLength(handle), File.GetLastWriteTimeUtc(handle));
}
