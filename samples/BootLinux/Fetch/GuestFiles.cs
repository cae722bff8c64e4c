namespace VirtKit.Samples.BootLinux.Fetch;

/// <summary>What a Debian guest is booted from, in the cache.</summary>
/// <param name="Kernel">The kernel, an EFI-stub Image or a bzImage.</param>
/// <param name="Busybox">The statically linked busybox.</param>
/// <param name="Modules">The folder of the modules that <see cref="InitramfsArchives"/> wants, decompressed.</param>
internal sealed record GuestFiles(string Kernel, string Busybox, string Modules)
{
    private const string CurrentName = "current";

    /// <summary>The cache: <c>VIRTKIT_CACHE</c>, or <c>.cache</c> at the root of the repository, or the user's own folder outside of one.</summary>
    public static string CacheFolder()
    {
        if (Environment.GetEnvironmentVariable("VIRTKIT_CACHE") is { Length: > 0 } given)
            return Path.GetFullPath(given);
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "VirtKit.sln")))
                return Path.Combine(folder, ".cache");
        }

        return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "virtkit");
    }

    /// <summary>The files that an earlier fetch left in the cache, or <see langword="null"/>.</summary>
    public static GuestFiles? FindCached(DebianGuest guest)
    {
        string root = Root(guest);
        if (!File.Exists(Path.Combine(root, CurrentName)))
            return null;
        GuestFiles files = In(Path.Combine(root, File.ReadAllText(Path.Combine(root, CurrentName)).Trim()));
        return File.Exists(files.Kernel) && File.Exists(files.Busybox) && Directory.Exists(files.Modules) ? files : null;
    }

    /// <summary>Fetches the files into the cache. Several processes may do so at once: one works, the others wait.</summary>
    /// <exception cref="FetchException">They cannot be had.</exception>
    public static GuestFiles Fetch(DebianGuest guest, TextWriter progress)
    {
        string root = Directory.CreateDirectory(Root(guest)).FullName;
        using FileStream gate = Lock(Path.Combine(root, "lock"), progress);
        if (FindCached(guest) is { } cached)
            return cached;

        // What a killed process left behind.
        foreach (string part in Directory.EnumerateFiles(root, "*.part"))
            File.Delete(part);
        var download = new Download(progress);
        DebianRepository repository = DebianRepository.Open(guest, download, root, progress);
        string kernelPackage = repository.FindDependency(guest.KernelMetapackage, "linux-image-");
        string kernel = repository.Fetch(kernelPackage, download, root), busybox = repository.Fetch("busybox-static", download, root);

        string release = kernelPackage["linux-image-".Length..], target = Path.Combine(root, release), unpacked = target + ".unpacked";
        progress.WriteLine($"Unpacking Linux {release}");
        RemoveFolder(unpacked);
        RemoveFolder(target);
        HostProgram.Run("dpkg-deb", "--extract", kernel, unpacked);
        HostProgram.Run("dpkg-deb", "--extract", busybox, unpacked);
        Directory.CreateDirectory(target);
        GuestFiles files = In(target);
        Directory.CreateDirectory(files.Modules);
        foreach ((string name, byte[] content) in new ModuleFolder(Installed(unpacked, "lib/modules", release)).Closure(InitramfsArchives.Modules))
            File.WriteAllBytes(Path.Combine(files.Modules, name + ".ko"), content);
        File.Move(Installed(unpacked, "bin/busybox"), files.Busybox);
        File.Move(Path.Combine(unpacked, "boot", guest.KernelFile + release), files.Kernel);
        RemoveFolder(unpacked);

        foreach (string package in (string[])[kernel, busybox])
            File.Delete(package);

        // The last step makes all of it visible at once.
        string current = Path.Combine(root, CurrentName);
        File.WriteAllText(current + ".part", release);
        File.Move(current + ".part", current, overwrite: true);
        return files;
    }

    private static string Root(DebianGuest guest) => Path.Combine(CacheFolder(), guest.Folder);

    /// <summary>A path below /usr, where Debian 13 has what Debian 12 still had below the root.</summary>
    private static string Installed(params string[] parts)
    {
        string[] merged = [parts[0], "usr", .. parts[1..]];
        return Path.Exists(Path.Combine(merged)) ? Path.Combine(merged) : Path.Combine(parts);
    }

    private static GuestFiles In(string folder) => new(Path.Combine(folder, "vmlinux"), Path.Combine(folder, "busybox"), Path.Combine(folder, "modules"));

    private static FileStream Lock(string path, TextWriter progress)
    {
        for (bool told = false; ; told = true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                if (!told)
                    progress.WriteLine("Another process is fetching; waiting for it.");
                Thread.Sleep(500);
            }
        }
    }

    private static void RemoveFolder(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }
}
