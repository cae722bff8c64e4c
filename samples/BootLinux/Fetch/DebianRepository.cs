using System.Text;

namespace VirtKit.Samples.BootLinux.Fetch;

/// <summary>One release's packages of one architecture in the Debian repository that this host's apt uses: its signed Release file and the package index that it vouches for.</summary>
internal sealed class DebianRepository
{
    private static readonly string[] Keyrings = ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

    private readonly string _address;
    private readonly Dictionary<string, Dictionary<string, string>> _packages;

    private DebianRepository(string address, Dictionary<string, Dictionary<string, string>> packages)
    {
        _address = address;
        _packages = packages;
    }

    /// <summary>Opens the first of apt's repositories that has the suite, whole.</summary>
    /// <exception cref="FetchException">None has it, or its files do not check.</exception>
    public static DebianRepository Open(DebianGuest guest, Download download, string folder, TextWriter progress)
    {
        FetchException? failure = null;
        foreach (string address in Addresses())
        {
            foreach (string name in (string[])[guest.Suite, guest.Alias])
            {
                try
                {
                    string index = FetchIndex($"{address}/dists/{name}", guest, download, folder, progress);
                    return new DebianRepository(address, ReadIndex(index));
                }
                catch (FetchException e)
                {
                    progress.WriteLine($"{name}: {e.Message}");
                    failure = e;
                }
            }
        }

        throw new FetchException($"no repository in apt's configuration has Debian's {guest.Suite}{(failure is null ? "" : $"; last: {failure.Message}")}");
    }

    /// <summary>Downloads the package index of one name of the suite, as its signed Release file describes it.</summary>
    private static string FetchIndex(string suite, DebianGuest guest, Download download, string folder, TextWriter progress)
    {
        string releaseFile = Path.Combine(folder, "InRelease"), index = Path.Combine(folder, "Packages.xz");
        string directory = $"main/binary-{guest.Architecture}";
        download.Fetch($"{suite}/InRelease", releaseFile);
        string release = Verify(releaseFile, progress);
        if (!release.Contains($"\nCodename: {guest.Suite}\n", StringComparison.Ordinal))
            throw new FetchException($"it is not {guest.Suite}");
        (long size, string sha256) = FindChecksum(release, $"{directory}/Packages.xz");
        try
        {
            // Under its hash a file is there before the Release file names it, and as long as older ones do.
            download.Fetch($"{suite}/{directory}/by-hash/SHA256/{sha256}", index, size, sha256);
        }
        catch (FetchException)
        {
            download.Fetch($"{suite}/{directory}/Packages.xz", index, size, sha256);
        }

        return index;
    }

    /// <summary>The package that a metapackage depends on whose name starts so: the newest kernel.</summary>
    public string FindDependency(string package, string prefix) =>
        Field(package, "Depends").Split([',', '|', ' '], StringSplitOptions.RemoveEmptyEntries).FirstOrDefault(name => name.StartsWith(prefix, StringComparison.Ordinal))
        ?? throw new FetchException($"{package} depends on no {prefix}*");

    /// <summary>Downloads a package and returns its file.</summary>
    public string Fetch(string package, Download download, string folder)
    {
        string path = Field(package, "Filename"), target = Path.Combine(folder, Path.GetFileName(path));
        download.Fetch($"{_address}/{path}", target, long.Parse(Field(package, "Size"), System.Globalization.CultureInfo.InvariantCulture), Field(package, "SHA256"));
        return target;
    }

    private string Field(string package, string name) =>
        _packages.TryGetValue(package, out Dictionary<string, string>? fields) && fields.TryGetValue(name, out string? value)
            ? value
            : throw new FetchException($"the package index has no {name} of {package}");

    /// <summary>The addresses of apt's repositories, a plain Debian archive first. Some servers refuse a doubled slash.</summary>
    private static IEnumerable<string> Addresses() =>
        Encoding.UTF8.GetString(HostProgram.Run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(address => address.TrimEnd('/')).Distinct()
            .OrderByDescending(address => address.EndsWith("/debian", StringComparison.Ordinal));

    /// <summary>The Release file's text: what the signature covers where it can be checked, otherwise the file as it is.</summary>
    private static string Verify(string release, TextWriter progress)
    {
        string? keyring = Keyrings.FirstOrDefault(File.Exists);
        if (keyring is not null && HostProgram.Find("gpgv") is not null)
            return Encoding.UTF8.GetString(HostProgram.Run("gpgv", "--quiet", "--keyring", keyring, "--output", "-", release));
        progress.WriteLine("gpgv or debian-archive-keyring is missing: the signature of the Release file is not checked.");
        return File.ReadAllText(release);
    }

    private static (long Size, string Sha256) FindChecksum(string release, string indexName)
    {
        bool inside = false;
        foreach (string line in release.Split('\n'))
        {
            if (line.Length > 0 && line[0] != ' ')
                inside = line.StartsWith("SHA256:", StringComparison.Ordinal);
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (inside && words.Length == 3 && words[2] == indexName && long.TryParse(words[1], out long size))
                return (size, words[0]);
        }

        throw new FetchException($"the Release file has no checksum of {indexName}");
    }

    /// <summary>Reads the few packages that matter; the index has some 60,000.</summary>
    private static Dictionary<string, Dictionary<string, string>> ReadIndex(string index)
    {
        var packages = new Dictionary<string, Dictionary<string, string>>();
        HostProgram.Run("xz", ["--decompress", "--stdout", index], stream =>
        {
            using var reader = new StreamReader(stream, Encoding.UTF8);
            Dictionary<string, string>? fields = null;
            while (reader.ReadLine() is { } line)
            {
                int colon = line.IndexOf(": ", StringComparison.Ordinal);
                if (line.StartsWith("Package: ", StringComparison.Ordinal))
                {
                    string name = line[9..];
                    fields = name == "busybox-static" || name.StartsWith("linux-image-", StringComparison.Ordinal) ? packages[name] = [] : null;
                }
                else if (fields is not null && colon > 0 && line[0] != ' ')
                {
                    fields[line[..colon]] = line[(colon + 2)..];
                }
            }
        });
        return packages;
    }
}
