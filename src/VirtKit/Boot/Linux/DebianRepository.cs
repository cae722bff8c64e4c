using System.Globalization;
using System.Text;

namespace VirtKit.Boot.Linux;

/// <summary>One release's packages of one architecture in a Debian archive: its signed Release file and the package index that it vouches for.</summary>
internal sealed class DebianRepository
{
    /// <summary>The most bytes of an index, and of a package.</summary>
    private const long IndexLimit = 512 << 20, PackageLimit = 1 << 30;
    private static readonly string[] CodeNames = ["oldoldstable", "oldstable", "stable", "testing", "unstable", "buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"];

    private readonly string _address;
    private readonly Dictionary<string, Dictionary<string, string>> _packages;

    private DebianRepository(string address, Dictionary<string, Dictionary<string, string>> packages)
    {
        _address = address;
        _packages = packages;
    }

    /// <summary>Opens the first archive that has the suite, whole.</summary>
    /// <exception cref="GuestFilesException">None has it, or its files do not check; or the host lacks a program.</exception>
    public static DebianRepository Open(DebianGuest guest, DebianFetchOptions options, Download download, string folder, CancellationToken cancellationToken)
    {
        var failures = new List<string>();
        IReadOnlyList<AptSource> archives = Archives(guest, options, AptSources.Read());
        if (archives.Count == 0)
            throw new GuestFilesException("apt's configuration on this host names no archive of Debian, as on a host with another distribution: name a mirror of Debian that this host can reach.");
        foreach (AptSource archive in archives)
        {
            foreach (string name in guest.Alias is { } alias ? [guest.Suite, alias] : (string[])[guest.Suite])
            {
                string suite = $"{archive.Address}/dists/{name}";
                try
                {
                    string release = new DebianSignature(options, download, folder, cancellationToken).FetchRelease(suite, archive.Keyring);
                    string index = FetchIndex(suite, release, guest, download, folder);
                    return new DebianRepository(archive.Address, ReadIndex(index, guest, cancellationToken));
                }
                catch (GuestFilesException e) when (e.MissingProgram is null)
                {
                    download.Tell($"{suite}: {e.Message}");
                    failures.Add($"{suite}: {e.Message}");
                }
            }
        }

        throw new GuestFilesException($"No archive has Debian's {guest.Suite} for {guest.Architecture}:\n  {string.Join("\n  ", failures)}\n"
            + "Check the network and its proxy (apt's configuration, or the variables http_proxy and https_proxy), or name a mirror that this host can reach.");
    }

    /// <summary>What is asked, in this order: the caller's archives; or else those of apt's configuration that have this suite, then its other archives of Debian. A host with
    /// another distribution, such as Ubuntu, has none.</summary>
    internal static IReadOnlyList<AptSource> Archives(DebianGuest guest, DebianFetchOptions options, IReadOnlyList<AptSource> configured)
    {
        if (options.Repositories.Count > 0)
            return [.. options.Repositories.Select(uri => new AptSource(uri.AbsoluteUri.TrimEnd('/'), [], null))];
        return [.. configured.Where(source => source.Suites.Any(IsDebian) && !source.Address.EndsWith("-security", StringComparison.Ordinal))
            .OrderByDescending(source => source.Suites.Any(suite => suite == guest.Suite || suite == guest.Alias)).ThenByDescending(source => source.Address.EndsWith("/debian", StringComparison.Ordinal))
            .DistinctBy(source => source.Address)];
    }

    /// <summary>The package that a metapackage depends on whose name starts so: the newest kernel.</summary>
    public string FindDependency(string package, string prefix) =>
        Field(package, "Depends").Split([',', '|', ' '], StringSplitOptions.RemoveEmptyEntries).FirstOrDefault(name => name.StartsWith(prefix, StringComparison.Ordinal) && IsName(name))
        ?? throw new GuestFilesException($"{package} depends on no {prefix}*.");

    /// <summary>Downloads a package.</summary>
    /// <returns>The file.</returns>
    public string Fetch(string package, Download download, string folder)
    {
        string path = Field(package, "Filename"), name = Path.GetFileName(path);
        if (!IsName(name) || !long.TryParse(Field(package, "Size"), NumberStyles.None, CultureInfo.InvariantCulture, out long size) || size > PackageLimit)
            throw new GuestFilesException($"The index describes the package {package} wrongly.");
        string target = Path.Combine(folder, name);
        download.Fetch($"{_address}/{path}", target, size, Field(package, "SHA256"));
        return target;
    }

    /// <summary>Downloads the package index of one name of the suite, as its signed Release file describes it.</summary>
    private static string FetchIndex(string suite, string release, DebianGuest guest, Download download, string folder)
    {
        string index = Path.Combine(folder, "Packages.xz"), directory = $"main/binary-{guest.Architecture}";
        if (!release.Contains($"\nCodename: {guest.Suite}\n", StringComparison.Ordinal))
            throw new GuestFilesException($"It is not {guest.Suite}.");
        (long size, string sha256) = FindChecksum(release, $"{directory}/Packages.xz");
        try
        {
            // Under its hash a file is there before the Release file names it, and as long as older ones do.
            download.Fetch($"{suite}/{directory}/by-hash/SHA256/{sha256}", index, size, sha256);
        }
        catch (GuestFilesException)
        {
            download.Fetch($"{suite}/{directory}/Packages.xz", index, size, sha256);
        }

        return index;
    }

    private string Field(string package, string field)
    {
        if (!_packages.TryGetValue(package, out Dictionary<string, string>? fields))
            throw new GuestFilesException($"The index has no package {package}.");
        return fields.GetValueOrDefault(field) ?? throw new GuestFilesException($"The index says no {field} of {package}.");
    }

    private static (long Size, string Sha256) FindChecksum(string release, string indexName)
    {
        bool inside = false;
        foreach (string line in release.Split('\n'))
        {
            if (line.Length > 0 && line[0] != ' ')
                inside = line.StartsWith("SHA256:", StringComparison.Ordinal);
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (inside && words.Length == 3 && words[2] == indexName && long.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out long size) && size <= IndexLimit)
                return (size, words[0]);
        }

        throw new GuestFilesException($"The Release file has no checksum of {indexName}.");
    }

    /// <summary>Reads the few packages that matter; the index has some 60,000.</summary>
    private static Dictionary<string, Dictionary<string, string>> ReadIndex(string index, DebianGuest guest, CancellationToken cancellationToken)
    {
        var packages = new Dictionary<string, Dictionary<string, string>>();
        HostProgram.Run("xz", "xz-utils", ["--decompress", "--stdout", index], stream =>
        {
            using var reader = new StreamReader(new LimitedStream(stream, IndexLimit, "The package index"), Encoding.UTF8);
            Dictionary<string, string>? fields = null;
            while (reader.ReadLine() is { } line)
            {
                int colon = line.IndexOf(": ", StringComparison.Ordinal);
                if (line.StartsWith("Package: ", StringComparison.Ordinal))
                {
                    string name = line[9..];
                    fields = name == "busybox-static" || name == guest.KernelPackage || name.StartsWith("linux-image-", StringComparison.Ordinal) ? packages[name] = [] : null;
                }
                else if (fields is not null && colon > 0 && line[0] != ' ')
                {
                    fields[line[..colon]] = line[(colon + 2)..];
                }
            }
        }, cancellationToken);
        return packages;
    }

    /// <summary>A suite of Debian's main archive: not its security updates, which lie elsewhere, nor another distribution's.</summary>
    private static bool IsDebian(string suite) => CodeNames.Contains(suite.Split('-', '/')[0]) && !suite.Contains("security", StringComparison.Ordinal) && !suite.Contains("updates", StringComparison.Ordinal);

    /// <summary>A name that is safe as one of a file.</summary>
    private static bool IsName(string name) => name.Length > 0 && name[0] != '.' && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '+' or '-' or '_' or '~' or '%');
}
