using System.Text;

namespace VirtKit.Boot.Linux;

/// <summary>Checks the signature of a suite's Release file with the host's verifier: <c>gpgv</c>, or <c>sqv</c>, which newer releases of apt bring instead.</summary>
internal sealed class DebianSignature(DebianFetchOptions options, Download download, string folder, CancellationToken cancellationToken)
{
    private const long Limit = 16 << 20;

    /// <summary>Where the package debian-archive-keyring installs the keys, the newer name first.</summary>
    public IReadOnlyList<string> Keyrings { get; init; } = ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

    /// <summary>Finds a program of the host.</summary>
    public Func<string, string?> FindProgram { get; init; } = HostProgram.Find;

    /// <summary>Downloads a Release file.</summary>
    /// <param name="suite">The address of the suite.</param>
    /// <param name="configured">The keyring that the host's configuration names for this archive.</param>
    /// <returns>What the signature covers; where it cannot be checked and need not be, the file as it is.</returns>
    /// <exception cref="GuestFilesException">The signature is wrong, or cannot be checked.</exception>
    public string FetchRelease(string suite, string? configured)
    {
        string? keyring = options.Keyring ?? Keyrings.Append(configured).FirstOrDefault(File.Exists);
        string? gpgv = FindProgram("gpgv"), sqv = gpgv is null ? FindProgram("sqv") : null;
        if (options.Keyring is not null && !File.Exists(options.Keyring))
            throw new GuestFilesException($"There is no keyring {options.Keyring}.");
        if (gpgv is null && sqv is null)
            return FetchUnsigned(suite, "gpgv", "gpgv");
        if (keyring is null)
            return FetchUnsigned(suite, "Debian's keyring", "debian-archive-keyring");
        return gpgv is not null ? CheckByGpgv(gpgv, suite, keyring) : CheckBySqv(sqv!, suite, keyring);
    }

    private string CheckByGpgv(string gpgv, string suite, string keyring)
    {
        string release = Fetch(suite, "InRelease");
        return Encoding.UTF8.GetString(HostProgram.Run(gpgv, "gpgv", Limit, ["--quiet", "--keyring", Path.GetFullPath(keyring), "--output", "-", release], cancellationToken));
    }

    /// <summary>It takes no signed text, but a text and its signature, which the archive has, too.</summary>
    private string CheckBySqv(string sqv, string suite, string keyring)
    {
        string release = Fetch(suite, "Release"), signature = Fetch(suite, "Release.gpg");
        HostProgram.Run(sqv, "sqv", Limit, ["--keyring", Path.GetFullPath(keyring), signature, release], cancellationToken);
        return File.ReadAllText(release);
    }

    private string FetchUnsigned(string suite, string missing, string package)
    {
        if (!options.AllowUnsigned)
        {
            throw new GuestFilesException($"The signature of Debian's archive cannot be checked: {missing} is not installed. On Debian and Ubuntu: sudo apt-get install {package}.")
            {
                MissingProgram = missing,
            };
        }

        download.Tell($"{missing} is missing: the signature of the archive is not checked.");
        return File.ReadAllText(Fetch(suite, "InRelease"));
    }

    private string Fetch(string suite, string name)
    {
        string path = Path.Combine(folder, name);
        download.Fetch($"{suite}/{name}", path);
        return path;
    }
}
