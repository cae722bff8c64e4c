using VirtKit.Samples.BootLinux.Fetch;

namespace VirtKit.Samples.BootLinux;

/// <summary>What is booted: the files of the command line, Debian's own from the cache, or the default guest where neither can be had.</summary>
/// <param name="Kind">Which of them.</param>
/// <param name="Kernel">The kernel's file.</param>
/// <param name="Initrd">The initial RAM disk's bytes; empty for none.</param>
internal sealed record Guest(GuestKind Kind, ReadOnlyMemory<byte> Kernel, ReadOnlyMemory<byte> Initrd)
{
    /// <summary>Chooses and, where that is allowed, fetches.</summary>
    /// <exception cref="FetchException">There is no kernel for <c>--run</c>.</exception>
    public static Guest Choose(BootOptions options, TextWriter progress)
    {
        ReadOnlyMemory<byte> initrd = options.Initrd is null ? default : File.ReadAllBytes(options.Initrd.FullName);
        if (options.Kernel is not null)
            return new Guest(GuestKind.Given, File.ReadAllBytes(options.Kernel.FullName), initrd);
        DebianGuest debian = options.Guest == BootOptions.X64Guest ? DebianGuest.X64 : DebianGuest.RiscV;
        try
        {
            GuestFiles files = GuestFiles.FindCached(debian) ?? (options.NoFetch ? throw new FetchException("--no-fetch, and the cache is empty") : GuestFiles.Fetch(debian, progress));
            byte[] kernel = File.ReadAllBytes(files.Kernel);
            return options.Initrd is null ? new Guest(GuestKind.Debian, kernel, JoinArchives(debian, files, options)) : new Guest(GuestKind.Given, kernel, initrd);
        }
        catch (FetchException e) when (options.Run is null && debian == DebianGuest.RiscV)
        {
            Console.Error.WriteLine($"No Debian kernel: {e.Message}. Booting VirtKit's embedded default guest instead.");
            return new Guest(GuestKind.Default, DefaultGuest(), default);
        }
    }

    private static byte[] JoinArchives(DebianGuest guest, GuestFiles files, BootOptions options)
    {
        var modules = new ModuleFolder(files.Modules);
        return
        [
            .. InitramfsArchives.Build(File.ReadAllBytes(files.Busybox), modules),
            .. guest == DebianGuest.X64 ? InitramfsArchives.BuildExitPort() : [],
            .. options.Disks.Count > 0 ? InitramfsArchives.BuildFileSystems(modules) : [],
            .. options.Run is { } command ? InitramfsArchives.BuildCommand(command) : [],
        ];
    }

    private static byte[] DefaultGuest()
    {
        using Stream stream = typeof(Guest).Assembly.GetManifestResourceStream("default.elf")!;
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}

/// <summary>Where a guest comes from.</summary>
internal enum GuestKind
{
    /// <summary>The command line names its kernel or its initial RAM disk.</summary>
    Given,

    /// <summary>Debian's kernel with our initial RAM file system.</summary>
    Debian,

    /// <summary>The embedded program.</summary>
    Default,
}
