namespace VirtKit.Boot.Linux;

/// <summary>Which Debian a guest is booted from: a kernel with its modules, and busybox, from Debian's own archive.</summary>
/// <example><code>
/// LinuxGuestFiles files = await DebianGuest.RiscV64.FetchAsync();
/// board.LoadInitrd(BusyboxInitramfs.Build(files, new BusyboxInitramfsOptions { Command = "uname -a" }));
/// board.BootLinux(File.ReadAllBytes(files.Kernel));
/// </code></example>
/// <remarks>Immutable and thread-safe. Fetching needs <c>dpkg-deb</c> and <c>xz</c> on the host, and <c>gpgv</c> or <c>sqv</c> with Debian's keyring to check signatures.</remarks>
public sealed record DebianGuest
{
    /// <summary>Debian 13 for riscv64, with its generic kernel.</summary>
    public static DebianGuest RiscV64 { get; } = new() { Suite = "trixie", Alias = "stable", Architecture = "riscv64", KernelPackage = "linux-image-riscv64", Folder = "debian-13-riscv64" };

    /// <summary>Debian 12 for x86-64, with its kernel for clouds.</summary>
    public static DebianGuest X64 { get; } = new() { Suite = "bookworm", Alias = "oldstable", Architecture = "amd64", KernelPackage = "linux-image-cloud-amd64", Folder = "debian-12-amd64" };

    /// <summary>Where fetched files are kept unless an option says otherwise: <c>virtkit</c> in the user's folder of local data, <c>~/.local/share</c> on Linux.</summary>
    public static string DefaultCacheFolder =>
        Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "virtkit");

    /// <summary>The suite's code name, <c>trixie</c>.</summary>
    public required string Suite { get; init; }

    /// <summary>What the suite is called by its rank, <c>stable</c>; asked for where its code name fails, because a mirror that is being updated may be consistent under one
    /// name only. <see langword="null"/> for none.</summary>
    public string? Alias { get; init; }

    /// <summary>Debian's name of the architecture, <c>riscv64</c>.</summary>
    public required string Architecture { get; init; }

    /// <summary>The package that depends on the newest kernel, <c>linux-image-riscv64</c>.</summary>
    public required string KernelPackage { get; init; }

    /// <summary>Its folder in the cache; <see langword="null"/> for one of suite and architecture.</summary>
    public string? Folder { get; init; }

    /// <summary>The files that an earlier fetch left in the cache.</summary>
    /// <param name="cacheFolder">The cache; <see langword="null"/> for <see cref="DefaultCacheFolder"/>.</param>
    /// <returns>The files, or <see langword="null"/> where they are not all there.</returns>
    /// <exception cref="IOException">The cache cannot be read.</exception>
    public LinuxGuestFiles? FindCached(string? cacheFolder = null) => new DebianCache(this, cacheFolder).Find([]);

    /// <summary>Finds the files in the cache, or fetches them: the archive's signed index, then the packages that it names by size and SHA-256. It downloads 125 MB for
    /// <see cref="RiscV64"/>, through apt's own downloader where there is one, which knows the host's proxies and credentials. Several processes may do so at once: one works, the others wait.</summary>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <param name="cancellationToken">Stops it; what is half there is removed, or by the next fetch.</param>
    /// <returns>The files, in the cache.</returns>
    /// <exception cref="GuestFilesException">They cannot be had; the message says why and what to do.</exception>
    /// <exception cref="IOException">The cache cannot be read or written.</exception>
    /// <exception cref="UnauthorizedAccessException">The cache may not be read or written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public Task<LinuxGuestFiles> FetchAsync(DebianFetchOptions? options = null, CancellationToken cancellationToken = default) =>
        Task.Run(() => new DebianCache(this, options?.CacheFolder).Fetch(options ?? new DebianFetchOptions(), cancellationToken), cancellationToken);
}
