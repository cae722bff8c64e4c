using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace VirtKit.Boot;

/// <summary>Walks a folder of the host, whose depth the host's user decides: without recursion, in the order of names.</summary>
internal static partial class HostFolder
{
    /// <summary>Linux's statx(2): <c>AT_FDCWD</c>, <c>AT_SYMLINK_NOFOLLOW</c>, <c>STATX_TYPE</c>; the place of <c>stx_mode</c> in <c>struct statx</c>.</summary>
    private const int CurrentDirectory = -100, NoFollow = 0x100, TypeMask = 1, StatusSize = 256, ModeOffset = 28, RegularFile = 0x8000;
    private const UnixFileMode Executable = (UnixFileMode)0b111_101_101, Readable = (UnixFileMode)0b110_100_100;

    /// <summary>Calls for each entry below a folder, parents before their children. Links are entries and are not followed.</summary>
    /// <exception cref="IOException">An entry is neither a directory, a file nor a link.</exception>
    public static void Walk(DirectoryInfo folder, Action<FileSystemInfo, string> visit, CancellationToken cancellationToken)
    {
        var open = new Stack<(FileSystemInfo Entry, string Path)>();
        Push(folder, "");
        while (open.TryPop(out (FileSystemInfo Entry, string Path) next))
        {
            cancellationToken.ThrowIfCancellationRequested();
            bool isLink = next.Entry.LinkTarget is not null;
            if (!isLink && next.Entry is FileInfo && !IsRegular(next.Entry))
                throw new IOException($"{next.Entry.FullName} is neither a directory, a file nor a symbolic link.");
            visit(next.Entry, next.Path);
            if (!isLink && next.Entry is DirectoryInfo below)
                Push(below, next.Path + "/");
        }

        void Push(DirectoryInfo directory, string prefix)
        {
            foreach (FileSystemInfo entry in directory.EnumerateFileSystemInfos().OrderByDescending(entry => entry.Name, StringComparer.Ordinal))
                open.Push((entry, prefix + entry.Name));
        }
    }

    /// <summary>The permissions; those of a shared mode where the host has none.</summary>
    public static UnixFileMode Mode(FileSystemInfo entry) => !OperatingSystem.IsWindows() ? entry.UnixFileMode : entry is DirectoryInfo ? Executable : Readable;

    /// <summary>Not a FIFO, whose opening waits for a writer, nor a socket or a device. Only Linux is asked.</summary>
    private static unsafe bool IsRegular(FileSystemInfo entry)
    {
        if (!OperatingSystem.IsLinux())
            return true;
        Span<byte> status = stackalloc byte[StatusSize];
        status.Clear();
        // SAFETY: the kernel writes one struct statx, whose size is the same on every architecture.
        fixed (byte* buffer = status)
        {
            if (StatX(CurrentDirectory, entry.FullName, NoFollow, TypeMask, buffer) != 0)
                throw new IOException($"{entry.FullName} cannot be looked at: {Marshal.GetLastPInvokeErrorMessage()}.");
        }

        return (BinaryPrimitives.ReadUInt16LittleEndian(status[ModeOffset..]) & 0xf000) == RegularFile;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int StatX(int directory, string path, int flags, uint mask, byte* status);
}
