using VirtKit.Tests.Support;

namespace VirtKit.Tests.Docs;

/// <summary>All pages' code as one program, built once against the assemblies under test; a page is run by its name. The examples of the XML documentation are compiled with it.</summary>
public sealed class DocumentationProgram : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();

    internal static readonly MarkdownPage[] Pages =
        [.. Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md").Append(Path.Combine(Repository.Root, "README.md")).Order().Select(file => new MarkdownPage(file)).Where(page => page.HasProgram)];

    public async ValueTask InitializeAsync()
    {
        foreach (MarkdownPage page in Pages)
            await File.WriteAllTextAsync(_folder.File(page.Name + ".cs"), page.ToSource());
        await File.WriteAllTextAsync(_folder.File("Examples.cs"), XmlExamples.ToSource());
        await File.WriteAllTextAsync(_folder.File("Program.cs"), $$"""
            await (args[0] switch
            {
                {{string.Join("\n    ", Pages.Select(page => $"\"{page.Name}\" => Docs.{page.Name}.Page.RunAsync(),"))}}
                _ => throw new ArgumentException(args[0]),
            });
            """);
        // CS1998: a page may have nothing to wait for. CS8321: a function that a page only shows is compiled and not called. CS0219: nor is a value used that is only shown.
        string[] references = ["VirtKit", "VirtKit.Devices", "VirtKit.Accel", "Iced", "Microsoft.Extensions.Logging.Abstractions"];
        await File.WriteAllTextAsync(_folder.File("Docs.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <Nullable>enable</Nullable>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <NoWarn>CS1998;CS8321;CS0219</NoWarn>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
              <ItemGroup>
                {string.Concat(references.Select(name => $"<Reference Include=\"{name}\" HintPath=\"{Path.Combine(AppContext.BaseDirectory, name + ".dll")}\" />"))}
              </ItemGroup>
            </Project>
            """);
        await HostProcess.RunAsync("dotnet", ["build", "-c", "Release", "-o", "out", "-v", "q"], _folder.Path, Hang.Limit);
    }

    /// <summary>Runs a page in a folder of its own, which has a guest's file.</summary>
    internal async Task<string> RunAsync(MarkdownPage page, string guest)
    {
        using var folder = new TemporaryFolder();
        File.Copy(guest, folder.File("guest.elf"));
        File.Copy(Samples.SampleProgram.Guest("words.elf"), folder.File("plugin.elf"));
        return (await HostProcess.RunAsync("dotnet", [_folder.File("out/Docs.dll"), page.Name], folder.Path, Hang.Limit)).ReplaceLineEndings("\n");
    }

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }
}
