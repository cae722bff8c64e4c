using VirtKit.Boot.Linux;
using VirtKit.Samples.BootLinux.Terminal;

namespace VirtKit.Samples.BootLinux;

/// <summary>What is booted: the files of the command line, Debian's own from the cache, or the default guest where neither can be had.</summary>
/// <param name="Kind">Which of them.</param>
/// <param name="Kernel">The kernel's file.</param>
/// <param name="Initrd">The initial RAM disk's bytes; empty for none.</param>
internal sealed record Guest(GuestKind Kind, ReadOnlyMemory<byte> Kernel, ReadOnlyMemory<byte> Initrd)
{
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

        return DebianGuest.DefaultCacheFolder;
    }

    /// <summary>Chooses and, where that is allowed, fetches.</summary>
    /// <exception cref="GuestFilesException">There is no kernel for <c>--run</c>.</exception>
    public static Guest Choose(BootOptions options, TextWriter progress)
    {
        ReadOnlyMemory<byte> initrd = options.Initrd is null ? default : File.ReadAllBytes(options.Initrd.FullName);
        if (options.Kernel is not null)
            return new Guest(GuestKind.Given, File.ReadAllBytes(options.Kernel.FullName), initrd);
        DebianGuest debian = options.Guest == BootOptions.X64Guest ? DebianGuest.X64 : DebianGuest.RiscV64;
        try
        {
            LinuxGuestFiles files = debian.FindCached(CacheFolder()) ?? Fetch(debian, options, progress);
            byte[] kernel = File.ReadAllBytes(files.Kernel);
            return options.Initrd is not null ? new Guest(GuestKind.Given, kernel, initrd)
                : new Guest(GuestKind.Debian, kernel, BusyboxInitramfs.Build(files, new BusyboxInitramfsOptions { Command = options.Run, MountsDisks = options.Disks.Count > 0 }));
        }
        catch (GuestFilesException e) when (options.Run is null && debian == DebianGuest.RiscV64)
        {
            Console.Error.WriteLine($"No Debian kernel: {e.Message}\nBooting VirtKit's embedded default guest instead.");
            return new Guest(GuestKind.Default, DefaultGuest(), default);
        }
    }

    private static LinuxGuestFiles Fetch(DebianGuest debian, BootOptions options, TextWriter progress)
    {
        if (options.NoFetch)
            throw new GuestFilesException("--no-fetch, and the cache is empty.");
        var fetch = new DebianFetchOptions
        {
            CacheFolder = CacheFolder(),
            Repositories = options.Mirror is null ? [] : [options.Mirror],
            AllowUnsigned = options.AllowUnsigned,
            Progress = new ProgressLines(progress, isTerminal: !Console.IsErrorRedirected),
        };
        try
        {
            return debian.FetchAsync(fetch).GetAwaiter().GetResult();
        }
        catch (GuestFilesException e)
        {
            throw new GuestFilesException($"{e.Message}\n--mirror names another archive, --allow-unsigned goes on without a signature, --kernel and --initrd boot files of yours.", e) { MissingProgram = e.MissingProgram };
        }
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
