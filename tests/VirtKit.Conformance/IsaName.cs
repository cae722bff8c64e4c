using VirtKit.RiscV;

namespace VirtKit.Conformance;

/// <summary>What the name of a file in riscv-tests' <c>isa</c> folder says: <c>rv64uzbb-p-andn</c> needs Zbb and runs in the environment <c>p</c>.</summary>
internal static class IsaName
{
    private static readonly string[] Announced = RiscVArchitecture.FullIsa.Split('_');

    /// <summary>The extension that a file needs and the harts do not announce, or <see langword="null"/> where it has to pass.</summary>
    public static string? Missing(string file)
    {
        string group = file.Split('-')[0]["rv64".Length..];
        // The group's first letter is the mode that the tests are about.
        string extension = group[1..];
        return extension switch
        {
            "i" when group[0] is 'm' or 's' => null,
            { Length: 1 } letter => Announced[0]["rv64".Length..].Contains(letter, StringComparison.Ordinal) ? null : letter,
            // The group is named after the whole family; its one file is about Zicboz.
            "zicbo" => Find("zicboz"),
            _ => Find(extension),
        };

        static string? Find(string name) => Announced.Contains(name) ? null : name;
    }
}
