using System.Buffers;
using System.Globalization;
using System.Text;

namespace VirtKit.Boot;

/// <summary>Writes a cpio archive in the format <c>newc</c>, which Linux unpacks as its initial RAM file system (Documentation/driver-api/early-userspace/buffer-format.rst).</summary>
/// <remarks>The same calls give the same bytes: owner and times are 0. Directories that a path needs are added before it. Not thread-safe.</remarks>
public sealed class CpioArchive
{
    private const uint DirectoryType = 0x4000, CharacterDeviceType = 0x2000, BlockDeviceType = 0x6000, FileType = 0x8000, LinkType = 0xa000;
    private const string TrailerName = "TRAILER!!!";
    private const UnixFileMode DirectoryMode = (UnixFileMode)0b111_101_101;

    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly HashSet<string> _paths = [], _directories = [];
    private uint _lastInode;

    /// <summary>Adds a directory with mode 0755. One that is there already is left alone.</summary>
    /// <param name="path">The path from the root, without a leading slash, <c>usr/bin</c>.</param>
    /// <exception cref="ArgumentException">The path is empty, absolute, has an empty, <c>.</c> or <c>..</c> component or a null character, or leads through or to
    /// something that is not a directory.</exception>
    public CpioArchive AddDirectory(string path)
    {
        if (_directories.Contains(path))
            return this;
        Add(path, DirectoryType | (uint)DirectoryMode, [], links: 2);
        _directories.Add(path);
        return this;
    }

    /// <summary>Adds a file.</summary>
    /// <param name="path">The path from the root, without a leading slash.</param>
    /// <param name="mode">The permissions.</param>
    /// <param name="content">The bytes; they are copied.</param>
    /// <exception cref="ArgumentException">As for <see cref="AddDirectory"/>, or the path is taken.</exception>
    public CpioArchive AddFile(string path, UnixFileMode mode, ReadOnlySpan<byte> content) => Add(path, FileType | (uint)mode, content);

    /// <summary>Adds a symbolic link.</summary>
    /// <param name="path">The path from the root, without a leading slash.</param>
    /// <param name="target">What the link holds; it need not exist.</param>
    /// <inheritdoc cref="AddFile" path="/exception"/>
    public CpioArchive AddSymbolicLink(string path, string target)
    {
        ArgumentException.ThrowIfNullOrEmpty(target);
        return Add(path, LinkType | 0b111_111_111, Encoding.UTF8.GetBytes(target));
    }

    /// <summary>Adds a character device node.</summary>
    /// <param name="path">The path from the root, without a leading slash.</param>
    /// <param name="mode">The permissions.</param>
    /// <param name="major">The driver's number.</param>
    /// <param name="minor">The device's number.</param>
    /// <inheritdoc cref="AddFile" path="/exception"/>
    public CpioArchive AddCharacterDevice(string path, UnixFileMode mode, uint major, uint minor) => Add(path, CharacterDeviceType | (uint)mode, [], major, minor);

    /// <summary>Adds a block device node.</summary>
    /// <inheritdoc cref="AddCharacterDevice"/>
    public CpioArchive AddBlockDevice(string path, UnixFileMode mode, uint major, uint minor) => Add(path, BlockDeviceType | (uint)mode, [], major, minor);

    /// <summary>The archive as it stands, with its trailer. More can be added afterwards.</summary>
    public byte[] ToArray()
    {
        var whole = new ArrayBufferWriter<byte>(_bytes.WrittenCount + 512);
        whole.Write(_bytes.WrittenSpan);
        WriteEntry(whole, TrailerName, inode: 0, mode: 0, links: 1, [], 0, 0);
        // cpio itself pads to its block size; tools that read whole blocks rely on it.
        whole.Write(new byte[(512 - whole.WrittenCount % 512) % 512]);
        return whole.WrittenSpan.ToArray();
    }

    private CpioArchive Add(string path, uint mode, ReadOnlySpan<byte> content, uint major = 0, uint minor = 0, uint links = 1)
    {
        CheckPath(path);
        if (_paths.Contains(path))
            throw new ArgumentException($"{path} is in the archive already.", nameof(path));
        int slash = path.LastIndexOf('/');
        if (slash > 0)
            AddDirectory(path[..slash]);
        _paths.Add(path);
        WriteEntry(_bytes, path, ++_lastInode, mode, links, content, major, minor);
        return this;
    }

    private static void CheckPath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path == TrailerName || path.Contains('\0') || path.Split('/').Any(part => part is "" or "." or ".."))
            throw new ArgumentException($"'{path}' is not a path inside the archive.", nameof(path));
    }

    private static void WriteEntry(ArrayBufferWriter<byte> output, string path, uint inode, uint mode, uint links, ReadOnlySpan<byte> content, uint major, uint minor)
    {
        byte[] name = Encoding.UTF8.GetBytes(path + '\0');
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        ReadOnlySpan<uint> fields = [inode, mode, 0, 0, links, 0, (uint)content.Length, 0, 0, major, minor, (uint)name.Length, 0];
        var header = new StringBuilder("070701", 110);
        foreach (uint field in fields)
            header.Append(CultureInfo.InvariantCulture, $"{field:X8}");
        output.Write(Encoding.ASCII.GetBytes(header.ToString()));
        output.Write(name);
        Pad(output);
        output.Write(content);
        Pad(output);
    }

    private static void Pad(ArrayBufferWriter<byte> output) => output.Write("\0\0\0"u8[..(-output.WrittenCount & 3)]);
}
