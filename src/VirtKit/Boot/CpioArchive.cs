using System.Buffers;
using System.Globalization;
using System.Text;

namespace VirtKit.Boot;

/// <summary>Writes a cpio archive in the format <c>newc</c>, which Linux unpacks as its initial RAM file system (Documentation/driver-api/early-userspace/buffer-format.rst).</summary>
/// <remarks>
/// The same calls give the same bytes: owner and times are 0, and folders are read in the order of their names. Directories that a path needs are added before it. Time and
/// memory are proportional to the archive; a path of <see cref="MaxPathLength"/> bytes can need 2,047 directories, whose entries take 4.5 MB. Not thread-safe.
/// </remarks>
public sealed class CpioArchive
{
    /// <summary>The longest path in bytes of UTF-8. Linux leaves out what is longer, without a word.</summary>
    public const int MaxPathLength = 4095;

    /// <summary>The longest component of a path, in bytes of UTF-8: the kernel's file systems take no longer name.</summary>
    public const int MaxNameLength = 255;

    /// <summary>The largest archive in bytes.</summary>
    public const int MaxSize = 0x7fff_0000;

    private const uint DirectoryType = 0x4000, CharacterDeviceType = 0x2000, BlockDeviceType = 0x6000, FileType = 0x8000, LinkType = 0xa000;
    private const string TrailerName = "TRAILER!!!";
    private const int BlockSize = 512, HeaderSize = 110;
    private const UnixFileMode DirectoryMode = (UnixFileMode)0b111_101_101;

    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly HashSet<string> _paths = [], _directories = [];
    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _pathLookup, _directoryLookup;
    private uint _lastInode;

    /// <summary>Begins an archive.</summary>
    public CpioArchive()
    {
        _pathLookup = _paths.GetAlternateLookup<ReadOnlySpan<char>>();
        _directoryLookup = _directories.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>Adds a directory with mode 0755. One that is there already is left alone.</summary>
    /// <param name="path">The path from the root, without a leading slash, <c>usr/bin</c>.</param>
    /// <exception cref="ArgumentException">The path is empty, absolute or too long, has an empty, <c>.</c>, <c>..</c> or too long component or a null character, or leads
    /// through or to something that is not a directory.</exception>
    /// <exception cref="InvalidOperationException">The archive would be larger than <see cref="MaxSize"/>.</exception>
    public CpioArchive AddDirectory(string path) => AddDirectory(path, DirectoryMode);

    /// <summary>Adds a directory.</summary>
    /// <param name="path">The path from the root, without a leading slash, <c>usr/bin</c>.</param>
    /// <param name="mode">The permissions, sticky and set-group-ID bit included; one that is there already keeps its own.</param>
    /// <inheritdoc cref="AddDirectory(string)" path="/exception"/>
    public CpioArchive AddDirectory(string path, UnixFileMode mode) =>
        path is not null && _directories.Contains(path) ? this : Add(path!, DirectoryType | Permissions(mode), [], links: 2);

    /// <summary>Adds a file.</summary>
    /// <param name="path">The path from the root, without a leading slash.</param>
    /// <param name="mode">The permissions.</param>
    /// <param name="content">The bytes; they are copied.</param>
    /// <exception cref="ArgumentException">As for <see cref="AddDirectory(string)"/>, or the path is taken.</exception>
    /// <exception cref="InvalidOperationException">The archive would be larger than <see cref="MaxSize"/>.</exception>
    public CpioArchive AddFile(string path, UnixFileMode mode, ReadOnlySpan<byte> content) => Add(path, FileType | Permissions(mode), content);

    /// <summary>Adds a file of a stream's bytes.</summary>
    /// <param name="path">The path from the root, without a leading slash.</param>
    /// <param name="mode">The permissions.</param>
    /// <param name="content">The bytes, from the stream's position to its end. The stream stays open.</param>
    /// <inheritdoc cref="AddFile(string, UnixFileMode, ReadOnlySpan{byte})" path="/exception"/>
    public CpioArchive AddFile(string path, UnixFileMode mode, Stream content)
    {
        ArgumentNullException.ThrowIfNull(content);
        CheckNew(path);
        var bytes = new ArrayBufferWriter<byte>();
        for (int read; (read = content.Read(bytes.GetSpan(1 << 16))) > 0;)
        {
            bytes.Advance(read);
            CheckSize(bytes.WrittenCount + (1 << 16));
        }

        return AddFile(path, mode, bytes.WrittenSpan);
    }

    /// <summary>Adds a symbolic link.</summary>
    /// <param name="path">The path from the root, without a leading slash.</param>
    /// <param name="target">What the link holds, at most <see cref="MaxPathLength"/> bytes of UTF-8 without a null character; it need not exist.</param>
    /// <inheritdoc cref="AddFile(string, UnixFileMode, ReadOnlySpan{byte})" path="/exception"/>
    public CpioArchive AddSymbolicLink(string path, string target)
    {
        ArgumentException.ThrowIfNullOrEmpty(target);
        if (target.Contains('\0') || Encoding.UTF8.GetByteCount(target) > MaxPathLength)
            throw new ArgumentException($"A symbolic link holds at most {MaxPathLength} bytes, without a null character.", nameof(target));
        return Add(path, LinkType | 0b111_111_111, Encoding.UTF8.GetBytes(target));
    }

    /// <summary>Adds a character device node.</summary>
    /// <param name="path">The path from the root, without a leading slash.</param>
    /// <param name="mode">The permissions.</param>
    /// <param name="major">The driver's number.</param>
    /// <param name="minor">The device's number.</param>
    /// <inheritdoc cref="AddFile(string, UnixFileMode, ReadOnlySpan{byte})" path="/exception"/>
    public CpioArchive AddCharacterDevice(string path, UnixFileMode mode, uint major, uint minor) => Add(path, CharacterDeviceType | Permissions(mode), [], major, minor);

    /// <summary>Adds a block device node.</summary>
    /// <inheritdoc cref="AddCharacterDevice"/>
    public CpioArchive AddBlockDevice(string path, UnixFileMode mode, uint major, uint minor) => Add(path, BlockDeviceType | Permissions(mode), [], major, minor);

    /// <summary>Adds what a folder of the host holds: directories, files with their permissions (0644, or 0755 on Windows, which has none), and symbolic links as links.</summary>
    /// <param name="path">Where the folder's content goes: a path from the root without a leading slash, or empty for the root itself.</param>
    /// <param name="folder">The folder. Its links are not followed.</param>
    /// <param name="cancellationToken">Looked at before each entry.</param>
    /// <exception cref="ArgumentException">As for <see cref="AddDirectory(string)"/>, or a file's path is taken.</exception>
    /// <exception cref="IOException">The folder or a file cannot be read, or an entry is neither of these three kinds.</exception>
    /// <exception cref="InvalidOperationException">The archive would be larger than <see cref="MaxSize"/>.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; what was added stays.</exception>
    public CpioArchive AddFolder(string path, DirectoryInfo folder, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(folder);
        if (path.Length > 0)
            AddDirectory(path);
        HostFolder.Walk(folder, (entry, relative) =>
        {
            string target = path.Length == 0 ? relative : $"{path}/{relative}";
            if (entry.LinkTarget is { } link)
                AddSymbolicLink(target, link);
            else if (entry is DirectoryInfo)
                AddDirectory(target, HostFolder.Mode(entry));
            else
                AddHostFile(target, HostFolder.Mode(entry), entry.FullName);
        }, cancellationToken);
        return this;
    }

    /// <summary>Joins archives one behind another, which Linux unpacks in turn; what a later one holds replaces what an earlier one does. They may be compressed.</summary>
    /// <param name="archives">The archives; empty ones are left out.</param>
    /// <exception cref="ArgumentException">Together they are larger than <see cref="MaxSize"/>.</exception>
    public static byte[] Concatenate(params ReadOnlySpan<ReadOnlyMemory<byte>> archives)
    {
        long size = 0;
        foreach (ReadOnlyMemory<byte> archive in archives)
            size += archive.Length + 3L & ~3L;
        if (size > MaxSize)
            throw new ArgumentException($"The archives have {size} bytes; together they have at most {MaxSize}.", nameof(archives));
        byte[] joined = new byte[size];
        int at = 0;
        foreach (ReadOnlyMemory<byte> archive in archives)
        {
            archive.Span.CopyTo(joined.AsSpan(at));
            // A header stands at a multiple of 4; zeros between two archives are skipped.
            at = at + archive.Length + 3 & ~3;
        }

        return joined;
    }

    /// <summary>The archive as it stands, with its trailer. More can be added afterwards.</summary>
    public byte[] ToArray()
    {
        var trailer = new ArrayBufferWriter<byte>(BlockSize);
        WriteEntry(trailer, TrailerName, inode: 0, mode: 0, links: 1, [], 0, 0);
        // cpio itself pads to its block size; tools that read whole blocks rely on it.
        int size = _bytes.WrittenCount + trailer.WrittenCount;
        byte[] whole = new byte[(size + BlockSize - 1) / BlockSize * BlockSize];
        _bytes.WrittenSpan.CopyTo(whole);
        trailer.WrittenSpan.CopyTo(whole.AsSpan(_bytes.WrittenCount));
        return whole;
    }

    private void AddHostFile(string target, UnixFileMode mode, string file)
    {
        using FileStream content = File.OpenRead(file);
        AddFile(target, mode, content);
    }

    private CpioArchive Add(string path, uint mode, ReadOnlySpan<byte> content, uint major = 0, uint minor = 0, uint links = 1)
    {
        CheckNew(path);
        CheckSize(content.Length);
        AddParents(path);
        _paths.Add(path);
        if ((mode & 0xf000) == DirectoryType)
            _directories.Add(path);
        WriteEntry(_bytes, path, ++_lastInode, mode, links, content, major, minor);
        return this;
    }

    /// <summary>Adds the directories above a path, from the root down. All of them can be added: <see cref="CheckNew"/> has looked.</summary>
    private void AddParents(string path)
    {
        // Upwards to the lowest one that is there, whose own parents are there, too.
        int end = path.LastIndexOf('/');
        while (end > 0 && !_directoryLookup.Contains(path.AsSpan(0, end)))
            end = path.LastIndexOf('/', end - 1);
        for (int next = path.IndexOf('/', end + 1); next > 0; next = path.IndexOf('/', next + 1))
        {
            string parent = path[..next];
            CheckSize(parent.Length);
            _paths.Add(parent);
            _directories.Add(parent);
            WriteEntry(_bytes, parent, ++_lastInode, DirectoryType | (uint)DirectoryMode, links: 2, [], 0, 0);
        }
    }

    private void CheckNew(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path == TrailerName || path.Contains('\0') || path.Split('/').Any(part => part is "" or "." or ".."))
            throw new ArgumentException($"'{Shortened(path)}' is not a path inside the archive.", nameof(path));
        if (Encoding.UTF8.GetByteCount(path) > MaxPathLength)
            throw new ArgumentException($"The path '{Shortened(path)}' is longer than {MaxPathLength} bytes, the most that Linux unpacks.", nameof(path));
        if (path.Length > MaxNameLength / 3 && path.Split('/').Any(part => Encoding.UTF8.GetByteCount(part) > MaxNameLength))
            throw new ArgumentException($"The path '{Shortened(path)}' has a component of more than {MaxNameLength} bytes, the most that Linux's file systems take.", nameof(path));
        if (_paths.Contains(path))
            throw new ArgumentException($"{path} is in the archive already.", nameof(path));
        for (int slash = path.LastIndexOf('/'); slash > 0; slash = path.LastIndexOf('/', slash - 1))
        {
            ReadOnlySpan<char> parent = path.AsSpan(0, slash);
            if (_directoryLookup.Contains(parent))
                return;
            if (_pathLookup.Contains(parent))
                throw new ArgumentException($"{parent} is in the archive already, and is not a directory.", nameof(path));
        }
    }

    private void CheckSize(int more)
    {
        if (more > MaxSize - _bytes.WrittenCount - HeaderSize - MaxPathLength - BlockSize)
            throw new InvalidOperationException($"The archive would be larger than {MaxSize} bytes.");
    }

    /// <summary>A mode's other bits are the kind of the entry.</summary>
    private static uint Permissions(UnixFileMode mode) =>
        ((uint)mode & ~0xfffu) == 0 ? (uint)mode : throw new ArgumentOutOfRangeException(nameof(mode), mode, "A mode has the twelve permission bits.");

    private static string Shortened(string path) => path.Length <= 80 ? path : path[..80] + "…";

    private static void WriteEntry(ArrayBufferWriter<byte> output, string path, uint inode, uint mode, uint links, ReadOnlySpan<byte> content, uint major, uint minor)
    {
        byte[] name = Encoding.UTF8.GetBytes(path + '\0');
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        ReadOnlySpan<uint> fields = [inode, mode, 0, 0, links, 0, (uint)content.Length, 0, 0, major, minor, (uint)name.Length, 0];
        Span<byte> header = output.GetSpan(HeaderSize)[..HeaderSize];
        "070701"u8.CopyTo(header);
        for (int i = 0; i < fields.Length; i++)
            fields[i].TryFormat(header[(6 + i * 8)..], out _, "X8", CultureInfo.InvariantCulture);
        output.Advance(HeaderSize);
        output.Write(name);
        Pad(output);
        output.Write(content);
        Pad(output);
    }

    private static void Pad(ArrayBufferWriter<byte> output) => output.Write("\0\0\0"u8[..(-output.WrittenCount & 3)]);
}
