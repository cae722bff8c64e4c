namespace VirtKit.Boot.Linux;

/// <summary>The archives that this host's apt is configured with (sources.list(5)): <c>sources.list</c>, and <c>*.list</c> and <c>*.sources</c> beside it. They are read
/// as files, because apt itself knows nothing of an archive before its first update.</summary>
internal static class AptSources
{
    public const string DefaultFolder = "/etc/apt";

    private static readonly string[] Transports = ["http", "https", "file", "copy", "mirror+file"];

    /// <summary>Reads the configuration; a file that cannot be read is left out.</summary>
    /// <param name="folder">apt's folder.</param>
    public static IReadOnlyList<AptSource> Read(string folder = DefaultFolder)
    {
        string parts = Path.Combine(folder, "sources.list.d");
        IEnumerable<string> further = Directory.Exists(parts) ? Directory.EnumerateFiles(parts).Order(StringComparer.Ordinal) : [];
        return [.. further.Prepend(Path.Combine(folder, "sources.list")).SelectMany(ReadFile).SelectMany(Expand).Where(source => Transports.Contains(Transport(source.Address)))];
    }

    private static IEnumerable<AptSource> ReadFile(string path)
    {
        try
        {
            return Path.GetExtension(path) switch
            {
                ".list" when File.Exists(path) => ReadLines(File.ReadLines(path)).ToArray(),
                ".sources" => ReadStanzas(File.ReadLines(path)).ToArray(),
                _ => [],
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The one-line format: <c>deb [arch=amd64 signed-by=/path] uri suite component…</c></summary>
    internal static IEnumerable<AptSource> ReadLines(IEnumerable<string> lines)
    {
        foreach (string line in lines)
        {
            string text = line.Split('#')[0].Trim().Replace('\t', ' ');
            if (!text.StartsWith("deb ", StringComparison.Ordinal))
                continue;
            text = text[4..].TrimStart();
            string options = "";
            if (text.StartsWith('['))
            {
                int end = text.IndexOf(']', StringComparison.Ordinal);
                if (end < 0)
                    continue;
                options = text[1..end];
                text = text[(end + 1)..];
            }

            string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length >= 2)
                yield return new AptSource(words[0].TrimEnd('/'), [words[1]], Keyring(Option(options, "signed-by")));
        }
    }

    /// <summary>The format deb822: stanzas of fields, whose names are in any case and whose values go on in lines that begin with a blank.</summary>
    internal static IEnumerable<AptSource> ReadStanzas(IEnumerable<string> lines)
    {
        var fields = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        string last = "";
        foreach (string line in lines.Append(""))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (line.StartsWith('#'))
                continue;
            if (line.Length > 0 && line[0] is ' ' or '\t')
                fields[last] = fields.GetValueOrDefault(last, "") + '\n' + line.Trim();
            else if (colon > 0)
                fields[last = line[..colon]] = line[(colon + 1)..].Trim();
            if (line.Trim().Length > 0)
                continue;
            bool enabled = fields.GetValueOrDefault("Enabled", "yes").ToUpperInvariant() is not ("NO" or "FALSE" or "0" or "OFF" or "DISABLE" or "WITHOUT");
            if (enabled && Words("Types").Contains("deb"))
            {
                foreach (string address in Words("URIs"))
                    yield return new AptSource(address.TrimEnd('/'), Words("Suites"), Keyring(fields.GetValueOrDefault("Signed-By")));
            }

            fields.Clear();
        }

        string[] Words(string name) => fields.GetValueOrDefault(name, "").Split([' ', '\t', '\n'], StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>A file of mirrors (apt-transport-mirror(1)) stands for the mirrors that it lists, one a line.</summary>
    private static IEnumerable<AptSource> Expand(AptSource source)
    {
        if (Transport(source.Address) != "mirror+file")
            return [source];
        string path = source.Address["mirror+file:".Length..];
        path = path.StartsWith("//", StringComparison.Ordinal) ? path[2..] : path;
        try
        {
            return [.. File.ReadLines(path).Select(line => line.Split('#')[0].Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)).Where(words => words.Length > 0)
                .Select(words => source with { Address = words[0].TrimEnd('/') }).Where(mirror => Transport(mirror.Address) != "mirror+file")];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static string Transport(string address)
    {
        int colon = address.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? "" : address[..colon];
    }

    private static string? Option(string options, string name) =>
        options.Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(option => option.StartsWith(name + "=", StringComparison.OrdinalIgnoreCase)).Select(option => option[(name.Length + 1)..]).LastOrDefault();

    /// <summary>The first keyring's file; key IDs and keys in the file itself are nothing that a verifier takes.</summary>
    private static string? Keyring(string? signedBy) => signedBy?.Split([',', ' ', '\n'], StringSplitOptions.RemoveEmptyEntries).FirstOrDefault(name => name.StartsWith('/'));
}

/// <summary>An archive in apt's configuration.</summary>
/// <param name="Address">Where it is, without a slash at the end.</param>
/// <param name="Suites">What of it the host uses.</param>
/// <param name="Keyring">The file of the keys that sign it, where the configuration names one.</param>
internal sealed record AptSource(string Address, IReadOnlyList<string> Suites, string? Keyring);
