namespace VirtKit.Boot.Linux;

/// <summary>A Debian guest's folder in the cache: a folder for each kernel, and a file that names the current one once all of it is there.</summary>
internal sealed class DebianCache
{
    private const string CurrentName = "current", WantedName = "wanted";

    private readonly DebianGuest _guest;
    private readonly string _root;

    public DebianCache(DebianGuest guest, string? cacheFolder)
    {
        _guest = guest;
        _root = Path.GetFullPath(Path.Combine(cacheFolder ?? DebianGuest.DefaultCacheFolder, guest.Folder ?? $"debian-{guest.Suite}-{guest.Architecture}"));
    }

    /// <summary>The files, where they are all there with the modules that are wanted.</summary>
    public LinuxGuestFiles? Find(IReadOnlyList<string> modules)
    {
        string current = Path.Combine(_root, CurrentName);
        if (!File.Exists(current))
            return null;
        LinuxGuestFiles files = In(Path.Combine(_root, File.ReadAllText(current).Trim()));
        bool isWhole = File.Exists(files.Kernel) && File.Exists(files.Busybox) && Directory.Exists(files.Modules);
        // A module that is built in has no file: what was asked for is written down.
        string wanted = Path.Combine(files.Modules, WantedName);
        return isWhole && (modules.Count == 0 || File.Exists(wanted) && modules.All(File.ReadAllLines(wanted).Contains)) ? files : null;
    }

    /// <summary>The files, fetched where they are not there.</summary>
    public LinuxGuestFiles Fetch(DebianFetchOptions options, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(_root);
        using FileStream gate = Lock(options.Progress, cancellationToken);
        if (Find(options.Modules) is { } cached)
            return cached;

        // What a killed process left behind.
        foreach (string part in Directory.EnumerateFiles(_root, "*.part"))
            File.Delete(part);
        var download = new Download(options.Progress, cancellationToken);
        DebianRepository repository = DebianRepository.Open(_guest, options, download, _root, cancellationToken);
        string kernelPackage = repository.FindDependency(_guest.KernelPackage, "linux-image-");
        string kernel = repository.Fetch(kernelPackage, download, _root), busybox = repository.Fetch("busybox-static", download, _root);
        try
        {
            return Unpack(kernelPackage["linux-image-".Length..], kernel, busybox, options, cancellationToken);
        }
        finally
        {
            File.Delete(kernel);
            File.Delete(busybox);
        }
    }

    private LinuxGuestFiles Unpack(string release, string kernel, string busybox, DebianFetchOptions options, CancellationToken cancellationToken)
    {
        string target = Path.Combine(_root, release), unpacked = target + ".unpacked", fresh = target + ".new";
        options.Progress?.Report(new FetchProgress($"Unpacking Linux {release}", 0, null, FetchProgressKind.Message));
        RemoveFolder(unpacked);
        RemoveFolder(fresh);
        try
        {
            foreach (string package in (string[])[kernel, busybox])
                HostProgram.Run("dpkg-deb", "dpkg", ["--extract", package, unpacked], stream => stream.CopyTo(Stream.Null), cancellationToken);
            LinuxGuestFiles files = In(fresh);
            Directory.CreateDirectory(files.Modules);
            string[] wanted = [.. BusyboxInitramfs.Modules.Concat(options.Modules).Distinct()];
            foreach (KernelModule module in KernelModules.Open(Installed(unpacked, "lib/modules", release)).Closure(wanted, cancellationToken))
                File.WriteAllBytes(Path.Combine(files.Modules, module.Name + ".ko"), module.Content.Span);
            File.WriteAllLines(Path.Combine(files.Modules, WantedName), wanted);
            File.Move(Installed(unpacked, "bin/busybox"), files.Busybox);
            File.Move(Directory.EnumerateFiles(Path.Combine(unpacked, "boot"), $"vmlinu?-{release}").First(), files.Kernel);

            // What was there before is given up only now that all of the new is there; the last step makes it visible.
            RemoveFolder(target);
            Directory.Move(fresh, target);
            string current = Path.Combine(_root, CurrentName);
            File.WriteAllText(current + ".part", release);
            File.Move(current + ".part", current, overwrite: true);
            return In(target);
        }
        catch (Exception e) when (e is DirectoryNotFoundException or FileNotFoundException or InvalidOperationException)
        {
            throw new GuestFilesException($"The packages of Linux {release} hold other files than expected: {e.Message}", e);
        }
        finally
        {
            RemoveFolder(unpacked);
            RemoveFolder(fresh);
        }
    }

    /// <summary>A path below /usr, where Debian 13 has what Debian 12 still had below the root.</summary>
    private static string Installed(params string[] parts)
    {
        string[] merged = [parts[0], "usr", .. parts[1..]];
        return Path.Exists(Path.Combine(merged)) ? Path.Combine(merged) : Path.Combine(parts);
    }

    private static LinuxGuestFiles In(string folder) => new(Path.Combine(folder, "vmlinux"), Path.Combine(folder, "busybox"), Path.Combine(folder, "modules"));

    private FileStream Lock(IProgress<FetchProgress>? progress, CancellationToken cancellationToken)
    {
        for (bool told = false; ; told = true)
        {
            try
            {
                return new FileStream(Path.Combine(_root, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (e.GetType() == typeof(IOException))
            {
                if (!told)
                    progress?.Report(new FetchProgress("Another process is fetching; waiting for it.", 0, null, FetchProgressKind.Message));
                cancellationToken.WaitHandle.WaitOne(500);
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    private static void RemoveFolder(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }
}
