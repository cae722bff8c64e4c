using System.Globalization;

namespace VirtKit.Devices.Storage;

/// <summary>The length of a disk image, found without opening it.</summary>
internal static class ImageLength
{
    private const string DeviceFolder = "/dev/";

    /// <summary>The length in bytes: whole sectors, one or more.</summary>
    /// <param name="path">A regular file or a block device, or a symbolic link to one.</param>
    /// <exception cref="VirtKitException">It is another kind of file, or its length is no disk's.</exception>
    /// <exception cref="IOException">There is no such file.</exception>
    public static long Of(string path)
    {
        if (Directory.Exists(path))
            throw new VirtKitException($"The disk image {path} is a folder.");
        // A link's own length is that of its text.
        FileSystemInfo? target = File.ResolveLinkTarget(path, returnFinalTarget: true);
        var file = new FileInfo(target?.FullName ?? path);
        long length = file.Length > 0 ? file.Length : OfBlockDevice(file.FullName);
        // Nothing but a regular file has a length by name: FIFOs, sockets and character devices have 0.
        if (length == 0)
            throw new VirtKitException($"The disk image {path} is empty, or it is neither a file nor a block device.");
        if (length % IBlockBackend.SectorSize != 0)
            throw new VirtKitException($"The disk image {path} has {length} bytes, which are not whole sectors of {IBlockBackend.SectorSize}.");
        return length;
    }

    /// <summary>The length of a block device as the kernel tells it in sysfs, in units of 512 bytes; 0 for everything else.</summary>
    private static long OfBlockDevice(string path)
    {
        if (!OperatingSystem.IsLinux() || !path.StartsWith(DeviceFolder, StringComparison.Ordinal))
            return 0;
        string size = $"/sys/class/block/{path[DeviceFolder.Length..].Replace('/', '!')}/size";
        return File.Exists(size) && long.TryParse(File.ReadAllText(size), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out long sectors)
            ? sectors * IBlockBackend.SectorSize : 0;
    }
}
