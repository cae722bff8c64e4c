using System.Text.RegularExpressions;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Docs;

/// <summary>What the documentation shows is compiled and run, and writes what the page says.</summary>
public sealed partial class DocumentationTests(DocumentationProgram program) : IClassFixture<DocumentationProgram>
{
    private const string Guests = "guests";

    public static TheoryData<string> PagesWithTheSamplesGuest => [.. DocumentationProgram.Pages.Select(page => page.Name).Where(name => name != Guests)];

    [Theory]
    [MemberData(nameof(PagesWithTheSamplesGuest))]
    public async Task Page_Program_WritesWhatThePageSays(string name)
    {
        MarkdownPage page = DocumentationProgram.Pages.Single(page => page.Name == name);
        string output = await program.RunAsync(page, Path.Combine(Repository.Root, "samples/guests/default.elf"));
        if (page.Output.Length > 0)
            Assert.Equal(page.Output, output);
    }

    /// <summary>The page's files become a guest by the page's own commands, each of which runs on the board.</summary>
    [Fact]
    public async Task Guests_BuiltByThePagesCommands_WriteWhatThePageSays()
    {
        Require.RiscVLinuxCompiler();
        MarkdownPage page = DocumentationProgram.Pages.Single(page => page.Name == Guests);
        using var folder = new TemporaryFolder();
        foreach ((string file, string content) in page.Files())
            await File.WriteAllTextAsync(folder.File(file), content);
        string[] commands = [.. page.Contents("sh").SelectMany(block => block.Split('\n')).Where(line => line.StartsWith("riscv64-linux-gnu-gcc ", StringComparison.Ordinal))];
        Assert.Equal(2, commands.Length);
        foreach (string command in commands)
        {
            await HostProcess.RunAsync("sh", ["-c", command], folder.Path, Hang.Limit);
            Assert.Equal(page.Output, await program.RunAsync(page, folder.File("guest.elf")));
            File.Delete(folder.File("guest.elf"));
        }
    }

    /// <summary>The program of all pages, which compiles the examples, has been built.</summary>
    [Theory]
    [InlineData("T:VirtKit.Machine")]
    [InlineData("T:VirtKit.MachineOptions")]
    [InlineData("T:VirtKit.Sandboxing.Sandbox")]
    [InlineData("T:VirtKit.Sandboxing.SandboxBuilder")]
    [InlineData("T:VirtKit.Vcpu")]
    [InlineData("T:VirtKit.AddressSpace")]
    [InlineData("T:VirtKit.IDevice")]
    [InlineData("T:VirtKit.Engines.EngineSelection")]
    [InlineData("T:VirtKit.Boot.ElfImage")]
    [InlineData("T:VirtKit.Boot.Linux.DebianGuest")]
    [InlineData("T:VirtKit.X86.CpuidPolicy")]
    [InlineData("T:VirtKit.Devices.Boards.RiscVVirt")]
    [InlineData("T:VirtKit.Devices.Boards.X64MicroVm")]
    [InlineData("T:VirtKit.Devices.Boards.BoardDevice")]
    [InlineData("T:VirtKit.Devices.Consoles.MemoryConsole")]
    [InlineData("T:VirtKit.Devices.Consoles.LinuxShell")]
    [InlineData("T:VirtKit.Devices.Storage.FileBlockBackend")]
    public void Example_OfATypeThatEveryoneUses_IsThere(string type) => Assert.Contains(XmlExamples.All, example => example.Member == type);

    [Fact]
    public void Links_IntoTheRepository_LeadToFiles()
    {
        string[] pages = [Path.Combine(Repository.Root, "README.md"), .. Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md")];
        string[] broken = [.. from page in pages
                              from Match link in RelativeLink().Matches(File.ReadAllText(page))
                              let target = Path.Combine(Path.GetDirectoryName(page)!, link.Groups[1].Value)
                              where !Path.Exists(target)
                              select $"{Path.GetFileName(page)}: {link.Groups[1].Value}"];
        Assert.Empty(broken);
    }

    [GeneratedRegex(@"\]\((?!https?:)([^)#]+)[^)]*\)")]
    private static partial Regex RelativeLink();
}
