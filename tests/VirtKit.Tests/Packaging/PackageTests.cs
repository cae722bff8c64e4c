using System.IO.Compression;
using System.Xml.Linq;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Packaging;

public sealed class PackageTests(PackedFeed feed) : IClassFixture<PackedFeed>
{
    [Theory]
    [MemberData(nameof(Repository.Assemblies), MemberType = typeof(Repository))]
    public void Package_OfAnAssembly_HasReadmeDocumentationAndSymbols(string name)
    {
        using ZipArchive package = ZipFile.OpenRead(feed.Package(name, "nupkg"));
        using ZipArchive symbols = ZipFile.OpenRead(feed.Package(name, "snupkg"));
        string[] files = [.. package.Entries.Select(entry => entry.FullName)];
        Assert.Contains("README.md", files);
        Assert.Contains($"lib/net10.0/{name}.dll", files);
        Assert.Contains($"lib/net10.0/{name}.xml", files);
        Assert.Contains(symbols.Entries, entry => entry.FullName == $"lib/net10.0/{name}.pdb");

        // Zero native binaries, and nothing that nobody asked for.
        Assert.Equal([$"lib/net10.0/{name}.dll", $"lib/net10.0/{name}.xml"], files.Where(file => !file.StartsWith("_rels/", StringComparison.Ordinal)
            && !file.StartsWith("package/", StringComparison.Ordinal) && file is not ("README.md" or "[Content_Types].xml") && !file.EndsWith(".nuspec", StringComparison.Ordinal)).Order());
    }

    [Theory]
    [InlineData("VirtKit", "Microsoft.Extensions.Logging.Abstractions")]
    [InlineData("VirtKit.Devices", "VirtKit")]
    [InlineData("VirtKit.Accel", "VirtKit", "Iced")]
    public void Package_Metadata_NamesLicenceReadmeAndDependencies(string name, params string[] dependencies)
    {
        using ZipArchive package = ZipFile.OpenRead(feed.Package(name, "nupkg"));
        using Stream stream = package.GetEntry(name + ".nuspec")!.Open();
        XElement metadata = XDocument.Load(stream).Root!.Elements().Single();
        string Value(string element) => metadata.Elements().Single(e => e.Name.LocalName == element).Value;
        Assert.Equal(feed.Version, Value("version"));
        Assert.Equal("MIT", Value("license"));
        Assert.Equal("README.md", Value("readme"));
        Assert.NotEmpty(Value("description"));
        Assert.Equal(dependencies.Order(), metadata.Descendants().Where(e => e.Name.LocalName == "dependency").Select(e => e.Attribute("id")!.Value).Order());
    }

    [Fact]
    public async Task Consumer_OfThePackages_ComposesAndRunsAMachine()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder.File("nuget.config"), $"""
            <configuration>
              <packageSources>
                <add key="feed" value="{feed.Folder}" />
              </packageSources>
            </configuration>
            """);
        await File.WriteAllTextAsync(folder.File("Consumer.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="VirtKit.Devices" Version="{feed.Version}" />
                <PackageReference Include="VirtKit.Accel" Version="{feed.Version}" />
              </ItemGroup>
            </Project>
            """);
        await File.WriteAllTextAsync(folder.File("Program.cs"), """
            using System.Runtime.InteropServices;
            using VirtKit;
            using VirtKit.RiscV;

            var start = new Gpa(0x8000_0000);
            using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture() });
            machine.Memory.MapRam(start, 0x1000);
            machine.Memory.Write(start, MemoryMarshal.AsBytes<uint>([0x02800513, 0x00250513])); // li a0, 40; addi a0, a0, 2
            var state = machine.Vcpus[0].GetState<RiscVState>();
            state.Pc = start.Value;
            machine.Vcpus[0].SetState(state);
            VcpuExit exit = machine.Vcpus[0].Run(budget: 2);
            Console.WriteLine($"{exit.Reason} {machine.Vcpus[0].GetState<RiscVState>().X[10]}");
            """);

        // A cache of its own: a package of the same version from an earlier run must not be taken for this one.
        var environment = new Dictionary<string, string> { ["NUGET_PACKAGES"] = folder.File("packages") };
        string output = await HostProcess.RunAsync("dotnet", ["run", "-c", "Release"], folder.Path, TimeSpan.FromMinutes(5), environment);
        Assert.Equal("BudgetExhausted 42", output.Trim());
    }
}
