namespace VirtKit.Bench.Runs;

/// <summary>A kernel and its initramfs.</summary>
internal sealed record LinuxFiles(string Kernel, string Initrd)
{
    /// <summary>The files of the command line, or what <c>samples/BootLinux</c> fetched last into its cache.</summary>
    /// <exception cref="BenchException">There are none, or one of them is missing.</exception>
    public static LinuxFiles Find(string? kernel, string? initrd)
    {
        if ((kernel is null) != (initrd is null))
            throw new BenchException("--kernel and --initrd go together.");
        LinuxFiles files = kernel is null ? FindCached() : new LinuxFiles(Path.GetFullPath(kernel), Path.GetFullPath(initrd!));
        string? missing = new[] { files.Kernel, files.Initrd }.FirstOrDefault(f => !File.Exists(f));
        return missing is null ? files : throw new BenchException($"There is no file {missing}.");
    }

    private static LinuxFiles FindCached()
    {
        string cache = Environment.GetEnvironmentVariable("VIRTKIT_CACHE") is { Length: > 0 } given ? given : Repository.PathOf(".cache");
        FileInfo? newest = !Directory.Exists(cache)
            ? null
            : new DirectoryInfo(cache).EnumerateFiles("initramfs.cpio", SearchOption.AllDirectories)
                .Where(f => File.Exists(Path.Combine(f.DirectoryName!, "vmlinux")))
                .MaxBy(f => f.LastWriteTimeUtc);
        return newest is null
            ? throw new BenchException("No kernel in the cache: run samples/BootLinux once, or name --kernel and --initrd.")
            : new LinuxFiles(Path.Combine(newest.DirectoryName!, "vmlinux"), newest.FullName);
    }
}
