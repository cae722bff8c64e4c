using System.Text;

namespace VirtKit.Samples.BootLinux.Fetch;

/// <summary>An unpacked kernel's modules. Debian computes <c>modules.dep</c> when a package is installed, so dependencies are read from the modules themselves.</summary>
internal sealed class ModuleFolder
{
    private readonly Dictionary<string, string> _files;

    public ModuleFolder(string folder) => _files = Directory.EnumerateFiles(folder, "*.ko*", SearchOption.AllDirectories)
        .GroupBy(path => Normalise(Path.GetFileName(path).Split('.')[0])).ToDictionary(group => group.Key, group => group.First());

    /// <summary>The modules with all that they need, decompressed, in an order in which they load. One that is built in or not there is left out.</summary>
    public IReadOnlyList<(string Name, byte[] Content)> Closure(IEnumerable<string> names)
    {
        var loaded = new HashSet<string>();
        var order = new List<(string, byte[])>();
        foreach (string name in names)
            Add(Normalise(name));
        return order;

        void Add(string name)
        {
            if (!_files.TryGetValue(name, out string? path) || !loaded.Add(name))
                return;
            byte[] content = path.EndsWith(".xz", StringComparison.Ordinal) ? HostProgram.Run("xz", "--decompress", "--stdout", path) : File.ReadAllBytes(path);
            foreach (string dependency in Dependencies(content))
                Add(Normalise(dependency));
            order.Add((name, content));
        }
    }

    /// <summary>The entry <c>depends=</c> of the module's section <c>.modinfo</c>.</summary>
    private static string[] Dependencies(ReadOnlySpan<byte> module)
    {
        ReadOnlySpan<byte> key = "\0depends="u8;
        int start = module.IndexOf(key);
        if (start < 0)
            return [];
        ReadOnlySpan<byte> value = module[(start + key.Length)..];
        return Encoding.ASCII.GetString(value[..value.IndexOf((byte)0)]).Split(',', StringSplitOptions.RemoveEmptyEntries);
    }

    private static string Normalise(string name) => name.Replace('-', '_');
}
