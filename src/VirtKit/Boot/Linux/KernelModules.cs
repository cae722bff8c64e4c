using System.Text;

namespace VirtKit.Boot.Linux;

/// <summary>A folder of a Linux kernel's modules, as packages install it below <c>/lib/modules</c>, with the dependencies between them.</summary>
/// <remarks>
/// Dependencies come from <c>modules.dep</c> where depmod has written one, otherwise from the modules themselves, which have to be decompressed for that. Modules that end in
/// <c>.ko.xz</c> or <c>.ko.zst</c> need the host's program <c>xz</c> or <c>zstd</c>. Not thread-safe.
/// </remarks>
public sealed class KernelModules
{
    /// <summary>The longest module in bytes, decompressed.</summary>
    public const int MaxModuleSize = 64 << 20;

    private readonly Dictionary<string, string> _files;
    private readonly Dictionary<string, string[]>? _dependencies;

    private KernelModules(Dictionary<string, string> files, Dictionary<string, string[]>? dependencies)
    {
        _files = files;
        _dependencies = dependencies;
    }

    /// <summary>Looks for the modules in a folder and below.</summary>
    /// <param name="folder">The folder, <c>/lib/modules/6.12.0-riscv64</c>. Links to folders are not followed.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static KernelModules Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = false };
        Dictionary<string, string> files = Directory.EnumerateFiles(folder, "*.ko*", options).Order(StringComparer.Ordinal)
            .GroupBy(NameOf).ToDictionary(group => group.Key, group => group.First());
        string dependencies = Path.Combine(folder, "modules.dep");
        return new KernelModules(files, File.Exists(dependencies) ? ReadDependencies(File.ReadLines(dependencies)) : null);
    }

    /// <summary>Whether the folder has a module; one that is built into the kernel is not there.</summary>
    /// <param name="name">The name, with <c>-</c> or <c>_</c> alike.</param>
    public bool Contains(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return _files.ContainsKey(Normalise(name));
    }

    /// <summary>Modules with all that they need, decompressed, in an order in which they load.</summary>
    /// <param name="names">The modules, without those that they depend on. One that is built in or not there is left out.</param>
    /// <param name="cancellationToken">Looked at before each module.</param>
    /// <exception cref="ArgumentException">A name is <see langword="null"/>.</exception>
    /// <exception cref="GuestFilesException">A module cannot be decompressed; the message names what is missing.</exception>
    /// <exception cref="InvalidImageException">A module is damaged, or longer than <see cref="MaxModuleSize"/>.</exception>
    /// <exception cref="IOException">A module cannot be read.</exception>
    public IReadOnlyList<KernelModule> Closure(IEnumerable<string> names, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(names);
        var seen = new HashSet<string>();
        var order = new List<KernelModule>();
        // Depth first, with the module behind its dependencies; modules that depend on one another end where they were seen first.
        var open = new Stack<(KernelModule? Module, string Name)>(names.Reverse().Select(name =>
            ((KernelModule?)null, Normalise(name ?? throw new ArgumentException("A module's name is null.", nameof(names))))));
        while (open.TryPop(out (KernelModule? Module, string Name) next))
        {
            if (next.Module is not null)
            {
                order.Add(next.Module);
                continue;
            }

            if (!_files.TryGetValue(next.Name, out string? path) || !seen.Add(next.Name))
                continue;
            cancellationToken.ThrowIfCancellationRequested();
            var module = new KernelModule(next.Name, Read(path, cancellationToken));
            open.Push((module, next.Name));
            foreach (string dependency in DependenciesOf(module).Reverse())
                open.Push((null, dependency));
        }

        return order;
    }

    private IEnumerable<string> DependenciesOf(KernelModule module) =>
        _dependencies is not null && _dependencies.TryGetValue(module.Name, out string[]? known) ? known : ReadDependencies(module.Content.Span);

    private static byte[] Read(string path, CancellationToken cancellationToken)
    {
        if (path.EndsWith(".xz", StringComparison.Ordinal))
            return HostProgram.Run("xz", "xz-utils", MaxModuleSize, ["--decompress", "--stdout", path], cancellationToken);
        if (path.EndsWith(".zst", StringComparison.Ordinal))
            return HostProgram.Run("zstd", "zstd", MaxModuleSize, ["--decompress", "--stdout", path], cancellationToken);
        if (new FileInfo(path).Length > MaxModuleSize)
            throw new InvalidImageException($"The module {path} has more than {MaxModuleSize} bytes.");
        byte[] content = File.ReadAllBytes(path);
        return GzipFile.IsGzip(content) ? GzipFile.Decompress(content, $"The module {path}", MaxModuleSize) : content;
    }

    /// <summary>Lines of <c>modules.dep</c>: a module's path, a colon, the paths of all that it needs.</summary>
    private static Dictionary<string, string[]> ReadDependencies(IEnumerable<string> lines)
    {
        var dependencies = new Dictionary<string, string[]>();
        foreach (string line in lines)
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && line[0] != '#')
                dependencies[NameOf(line[..colon])] = [.. line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(NameOf)];
        }

        return dependencies;
    }

    /// <summary>The entry <c>depends=</c> of the module's section <c>.modinfo</c>.</summary>
    private static IEnumerable<string> ReadDependencies(ReadOnlySpan<byte> module)
    {
        ReadOnlySpan<byte> key = "\0depends="u8;
        int start = module.IndexOf(key);
        if (start < 0)
            return [];
        ReadOnlySpan<byte> value = module[(start + key.Length)..];
        int end = value.IndexOf((byte)0);
        return Encoding.ASCII.GetString(end < 0 ? value : value[..end]).Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Normalise);
    }

    private static string NameOf(string path) => Normalise(Path.GetFileName(path).Split('.')[0]);

    private static string Normalise(string name) => name.Replace('-', '_');
}

/// <summary>A kernel module.</summary>
/// <param name="Name">Its name as the kernel has it, with <c>_</c>.</param>
/// <param name="Content">The ELF file, decompressed.</param>
public sealed record KernelModule(string Name, ReadOnlyMemory<byte> Content);
