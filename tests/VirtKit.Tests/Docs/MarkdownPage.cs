using System.Text;
using System.Text.RegularExpressions;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Docs;

/// <summary>A page of the documentation, by its fenced blocks.</summary>
internal sealed partial class MarkdownPage(string path)
{
    private readonly MatchCollection _blocks = Fence().Matches(File.ReadAllText(Path.Combine(Repository.Root, path)).ReplaceLineEndings("\n"));

    /// <summary>The name as an identifier.</summary>
    public string Name { get; } = System.IO.Path.GetFileNameWithoutExtension(path).Replace('-', '_');

    /// <summary>What the page's program writes, as the page has it; empty where it does not say.</summary>
    public string Output => string.Concat(Contents("text"));

    /// <summary>Whether there is code to run.</summary>
    public bool HasProgram => Contents("csharp").Any();

    /// <summary>The blocks of one language, in order.</summary>
    public IEnumerable<string> Contents(string language) => from block in _blocks where block.Groups["language"].Value == language select block.Groups["content"].Value;

    /// <summary>The blocks whose line before names a file (<c>`start.S`:</c>), by the name.</summary>
    public IEnumerable<(string Name, string Content)> Files() =>
        from block in _blocks where block.Groups["file"].Success select (block.Groups["file"].Value, block.Groups["content"].Value);

    /// <summary>The page's C# blocks as one method, in order, so that a later block goes on from an earlier one; blocks that declare a type stand beside it.</summary>
    public string ToSource()
    {
        var usings = new SortedSet<string>(StringComparer.Ordinal);
        StringBuilder types = new(), body = new();
        foreach (string block in Contents("csharp"))
        {
            string rest = UsingDirective().Replace(block, directive =>
            {
                usings.Add(directive.Value.Trim());
                return "";
            });
            (TypeDeclaration().IsMatch(rest) ? types : body).Append(rest);
        }

        return $"{string.Join('\n', usings)}\n\nnamespace Docs.{Name};\n\n{types}\ninternal static class Page\n{{\n    public static async Task RunAsync()\n    {{\n{body}    }}\n}}\n";
    }

    [GeneratedRegex(@"(?:^`(?<file>[\w.]+)`[^\n]*:\n\n)?^```(?<language>\w+)\n(?<content>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();

    [GeneratedRegex(@"^using [A-Za-z0-9.]+;\n", RegexOptions.Multiline)]
    private static partial Regex UsingDirective();

    [GeneratedRegex(@"^\s*(?:///[^\n]*\s*)*(?:internal|public)? ?(?:sealed )?(?:class|record|enum)\b")]
    private static partial Regex TypeDeclaration();
}
