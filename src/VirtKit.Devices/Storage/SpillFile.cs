namespace VirtKit.Devices.Storage;

/// <summary>A temporary file without a name: it goes away with its handle, however the process ends.</summary>
internal static class SpillFile
{
    /// <summary>Creates one, which only this user may read.</summary>
    /// <param name="folder">Where; the host's folder for temporary files when <see langword="null"/>.</param>
    /// <exception cref="IOException">The host has no place for it.</exception>
    public static FileStream Create(string? folder)
    {
        string path = Path.Combine(folder ?? Path.GetTempPath(), $"virtkit-{Guid.NewGuid():N}.overlay");
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, Share = FileShare.None, BufferSize = 0 };
        // Unix lets go of the name at once; Windows only when the file is closed, which it also is when the process ends.
        if (OperatingSystem.IsWindows())
            options.Options = FileOptions.DeleteOnClose;
        else
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        try
        {
            var file = new FileStream(path, options);
            if (!OperatingSystem.IsWindows())
                File.Delete(path);
            return file;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new IOException($"There is no place for a temporary file: {e.Message}", e);
        }
    }
}
