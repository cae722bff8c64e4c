using System.Text;

namespace VirtKit.Boot.Linux;

/// <summary>Checks the signature of a suite's Release file with the host's verifier: <c>gpgv</c>, or <c>sqv</c>, which newer releases of apt bring instead.</summary>
internal sealed class DebianSignature(DebianFetchOptions options, Download download, string folder, CancellationToken cancellationToken)
{
    private const long Limit = 16 << 20;
    private static readonly string[] Keyrings = ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

    /// <summary>Downloads a Release file.</summary>
    /// <param name="suite">The address of the suite.</param>
    /// <param name="configured">The keyring that the host's configuration names for this archive.</param>
    /// <returns>What the signature covers; where it cannot be checked and need not be, the file as it is.</returns>
    /// <exception cref="GuestFilesException">The signature is wrong, or cannot be checked.</exception>
    public string FetchRelease(string suite, string? configured)
    {
        string? keyring = options.Keyring ?? Keyrings.Append(configured).FirstOrDefault(File.Exists);
        string? verifier = HostProgram.Find("gpgv") is not null ? "gpgv" : HostProgram.Find("sqv") is not null ? "sqv" : null;
        if (options.Keyring is not null && !File.Exists(options.Keyring))
            throw new GuestFilesException($"There is no keyring {options.Keyring}.");
        if (keyring is null || verifier is null)
            return FetchUnsigned(suite, verifier is null ? ("gpgv", "gpgv") : ("Debian's keyring", "debian-archive-keyring"));
        return verifier == "gpgv" ? CheckByGpgv(suite, keyring) : CheckBySqv(suite, keyring);
    }

    private string CheckByGpgv(string suite, string keyring)
    {
        string release = Fetch(suite, "InRelease");
        return Encoding.UTF8.GetString(HostProgram.Run("gpgv", "gpgv", Limit, ["--quiet", "--keyring", Path.GetFullPath(keyring), "--output", "-", release], cancellationToken));
    }

    private string CheckBySqv(string suite, string keyring)
    {
        string release = Fetch(suite, "Release"), signature = Fetch(suite, "Release.gpg");
        HostProgram.Run("sqv", "sqv", Limit, ["--keyring", Path.GetFullPath(keyring), signature, release], cancellationToken);
        return File.ReadAllText(release);
    }

    private string FetchUnsigned(string suite, (string Name, string Package) missing)
    {
        if (!options.AllowUnsigned)
        {
            throw new GuestFilesException($"The signature of Debian's archive cannot be checked: {missing.Name} is not installed. On Debian and Ubuntu: sudo apt-get install {missing.Package}. "
                + "To go on without the check, allow what is unsigned.") { MissingProgram = missing.Name };
        }

        download.Tell($"{missing.Name} is missing: the signature of the archive is not checked.");
        return File.ReadAllText(Fetch(suite, "InRelease"));
    }

    private string Fetch(string suite, string name)
    {
        string path = Path.Combine(folder, name);
        download.Fetch($"{suite}/{name}", path);
        return path;
    }
}
