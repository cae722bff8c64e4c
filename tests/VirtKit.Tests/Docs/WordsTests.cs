using System.Text.RegularExpressions;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Docs;

/// <summary>The field's words instead of private ones, in code, comments and pages.</summary>
public sealed partial class WordsTests
{
    private static readonly string[] Folders = ["src", "samples", "bench"];

    [Fact]
    public void PrivateWords_ForKnownThings_AreNowhere()
    {
        string[] files =
        [
            .. Folders.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Repository.Root, folder), "*.cs", SearchOption.AllDirectories))
                .Where(file => !file.Split(Path.DirectorySeparatorChar).Contains("obj")),
            .. Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md"), Path.Combine(Repository.Root, "README.md"), Path.Combine(Repository.Root, "CHANGELOG.md"),
            Path.Combine(Repository.Root, "bench", "RESULTS.md"),
        ];
        Assert.InRange(files.Length, 300, 10_000);
        Assert.Empty(files.SelectMany(file => Private().Matches(File.ReadAllText(file)).Select(match => $"{Path.GetRelativePath(Repository.Root, file)}: {match.Value}")));
    }

    [Theory]
    [InlineData("a lone block", true)]
    [InlineData("bool IsLone", true)]
    [InlineData("alone, a clone and Cyclone", false)]
    [InlineData("ForgoRecent", true)]
    [InlineData("forgotten", false)]
    [InlineData("one look at the TLB", true)]
    [InlineData("record FdtPlace(Gpa Address)", true)]
    [InlineData("in the place of, Replace and Placed", false)]
    public void PrivateWords_InASentence_AreFound(string text, bool expected) => Assert.Equal(expected, Private().IsMatch(text));

    /// <summary>One-off block; drop or disable; a lookup; what arrived during the call; an address, an operand, resources.</summary>
    [GeneratedRegex(@"\blone\b|(?<=[a-z])Lone(?![a-z])|\bLone[A-Z]\w*|\b[Ff]orgo(?:es|ing|ne|[A-Z]\w*)?\b|\blooks? at the TLB|\bcame meanwhile\b|\bturning back\b|\b\w*Place\b")]
    private static partial Regex Private();
}
