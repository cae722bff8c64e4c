namespace VirtKit.Boot.Linux;

/// <summary>How <see cref="DebianGuest.FetchAsync"/> fetches.</summary>
public sealed record DebianFetchOptions
{
    /// <summary>The folder that holds what was fetched; <see langword="null"/> for <see cref="DebianGuest.DefaultCacheFolder"/>. Several processes may share one.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>The archives to ask, in this order, such as <c>https://mirror.example/debian</c>: <c>http</c>, <c>https</c> or <c>file</c>. Empty, the default, asks those of
    /// Debian's that this host's apt is configured with; a host with another distribution has none and names one here.</summary>
    public IReadOnlyList<Uri> Repositories { get; init; } = [];

    /// <summary>The file of the keys that may sign the archive; <see langword="null"/> for Debian's, as the package debian-archive-keyring installs it.</summary>
    public string? Keyring { get; init; }

    /// <summary>Goes on where the signature cannot be checked, because the host has neither <c>gpgv</c> nor <c>sqv</c>, or no keyring. Sizes and SHA-256 are checked even
    /// then, but whoever answers for the archive decides them. A signature that is wrong is never accepted. Default: <see langword="false"/>.</summary>
    public bool AllowUnsigned { get; init; }

    /// <summary>Kernel modules to have beside those of <see cref="BusyboxInitramfs"/>, without their dependencies.</summary>
    public IReadOnlyList<string> Modules { get; init; } = [];

    /// <summary>Told what is done, on the thread that does it; <see langword="null"/> for nobody.</summary>
    public IProgress<FetchProgress>? Progress { get; init; }

    internal void Validate()
    {
        if (Repositories is null || Repositories.Any(uri => uri is not { IsAbsoluteUri: true, Scheme: "http" or "https" or "file" }))
            throw new ArgumentException($"{nameof(Repositories)} has something else than absolute addresses of http, https or file.", "options");
        if (Modules is null || Modules.Any(string.IsNullOrEmpty))
            throw new ArgumentException($"{nameof(Modules)} has something else than names.", "options");
    }
}
