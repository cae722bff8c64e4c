using System.Globalization;
using System.Text;
using System.Xml.Linq;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Docs;

/// <summary>The examples in the XML documentation, as source that uses the API as they do.</summary>
internal static class XmlExamples
{
    /// <summary>What examples take for granted: all of the API's names, and a few objects that their prose mentions.</summary>
    private const string Given = """
            internal static readonly Machine machine = null!;
            internal static readonly RiscVVirt board = null!;
            internal static readonly MemoryConsole console = null!;
            internal static readonly ILogger logger = null!;
        """;

    private static readonly string[] Usings =
    [
        "Microsoft.Extensions.Logging", "System.Text", "VirtKit", "VirtKit.Boot", "VirtKit.Boot.Linux", "VirtKit.Devices", "VirtKit.Devices.Boards", "VirtKit.Devices.Consoles", "VirtKit.Devices.Networking",
        "VirtKit.Devices.Storage", "VirtKit.Devices.Virtio", "VirtKit.Engines", "VirtKit.RiscV", "VirtKit.Sandboxing", "VirtKit.X86",
    ];

    /// <summary>The member that an example belongs to, as documentation names it, and its code.</summary>
    public static IReadOnlyList<(string Member, string Code)> All { get; } =
        [.. from assembly in Repository.Assemblies
            let file = XDocument.Load(Path.Combine(AppContext.BaseDirectory, $"{assembly.Data}.xml"))
            from member in file.Descendants("member")
            from code in member.Elements("example").Elements("code")
            select (member.Attribute("name")!.Value, code.Value)];

    public static string ToSource()
    {
        StringBuilder methods = new(), types = new();
        for (int i = 0; i < All.Count; i++)
        {
            if (All[i].Code.Contains(" class ", StringComparison.Ordinal))
                types.Append(All[i].Code);
            else
                methods.Append(CultureInfo.InvariantCulture, $"    // {All[i].Member}\n    public static async Task Example{i}()\n    {{\n{All[i].Code}\n    }}\n\n");
        }

        return $"{string.Concat(Usings.Select(name => $"using {name};\n"))}\nnamespace Docs.Examples;\n\ninternal static class Examples\n{{\n{Given}\n\n{methods}}}\n\n{types}\n";
    }
}
