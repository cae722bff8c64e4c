using System.Buffers.Binary;
using System.IO.Compression;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Packaging;

public sealed partial class PackageTests(PackedFeed feed) : IClassFixture<PackedFeed>
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
        string[] precompiled = feed.WithoutPrecompiled is null ? [$"runtimes/linux-x64/lib/net10.0/{name}.dll"] : [];
        Assert.Equal([$"lib/net10.0/{name}.dll", $"lib/net10.0/{name}.xml", .. precompiled], files.Where(file => !file.StartsWith("_rels/", StringComparison.Ordinal)
            && !file.StartsWith("package/", StringComparison.Ordinal) && file is not ("README.md" or "icon.png" or "[Content_Types].xml") && !file.EndsWith(".nuspec", StringComparison.Ordinal)).Order());
    }

    [Theory]
    [MemberData(nameof(Repository.Assemblies), MemberType = typeof(Repository))]
    public void Package_PrecompiledFile_IsThePortableOneWithCode(string name)
    {
        Assert.SkipWhen(feed.WithoutPrecompiled is not null, feed.WithoutPrecompiled ?? "");
        using ZipArchive package = ZipFile.OpenRead(feed.Package(name, "nupkg"));
        (Guid portable, bool portableHasCode) = Read($"lib/net10.0/{name}.dll");
        (Guid precompiled, bool precompiledHasCode) = Read($"runtimes/linux-x64/lib/net10.0/{name}.dll");
        Assert.Equal(portable, precompiled);
        Assert.False(portableHasCode);
        Assert.True(precompiledHasCode);

        (Guid Version, bool HasCode) Read(string path)
        {
            using Stream entry = package.GetEntry(path)!.Open();
            var bytes = new MemoryStream();
            entry.CopyTo(bytes);
            bytes.Position = 0;
            using var image = new PEReader(bytes);
            MetadataReader metadata = image.GetMetadataReader();
            return (metadata.GetGuid(metadata.GetModuleDefinition().Mvid), image.PEHeaders.CorHeader!.ManagedNativeHeaderDirectory.Size > 0);
        }
    }

    [Theory]
    [InlineData("VirtKit", "Microsoft.Extensions.Logging.Abstractions", "System.IO.Hashing")]
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
        Assert.Equal("icon.png", Value("icon"));
        Assert.Contains("risc-v", Value("tags").Split(' '));
        Assert.Equal("The VirtKit authors", Value("authors"));
        // An address that nobody has given is worse than none.
        Assert.DoesNotContain(metadata.Elements(), e => e.Name.LocalName == "projectUrl" || e.Attribute("url") is not null);
        Assert.Equal(dependencies.Order(), metadata.Descendants().Where(e => e.Name.LocalName == "dependency").Select(e => e.Attribute("id")!.Value).Order());
    }

    [Theory]
    [MemberData(nameof(Repository.Assemblies), MemberType = typeof(Repository))]
    public void Package_Page_HasAnIconAndNoLinkIntoTheRepository(string name)
    {
        using ZipArchive package = ZipFile.OpenRead(feed.Package(name, "nupkg"));
        using Stream icon = package.GetEntry("icon.png")!.Open();
        byte[] header = new byte[24];
        icon.ReadExactly(header);
        Assert.Equal([0x89, .. "PNG\r\n\x1a\n"u8], header[..8]);
        Assert.Equal((128u, 128u), (BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(16)), BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(20))));

        using var page = new StreamReader(package.GetEntry("README.md")!.Open());
        string text = page.ReadToEnd().ReplaceLineEndings("\n"), repository = File.ReadAllText(Path.Combine(Repository.Root, "README.md")).ReplaceLineEndings("\n");
        Assert.Empty(RepositoryLink().Matches(text));
        Assert.Equal(RepositoryLink().Replace(repository, "$1").Trim(), text.Trim());
    }

    /// <summary>The compiler's file documents internals too. What is visible is asked of the assembly here, by names; where one has overloads of both kinds, by those that are there.</summary>
    [Theory]
    [MemberData(nameof(Repository.Assemblies), MemberType = typeof(Repository))]
    public void Package_Documentation_HasWhatUsersSeeAndNoInternals(string name)
    {
        const BindingFlags Declared = BindingFlags.DeclaredOnly | BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;
        using ZipArchive package = ZipFile.OpenRead(feed.Package(name, "nupkg"));
        using Stream file = package.GetEntry($"lib/net10.0/{name}.xml")!.Open();
        HashSet<string> shipped = [.. Members(XDocument.Load(file))];
        string[] all = [.. Members(XDocument.Load(Path.Combine(AppContext.BaseDirectory, name + ".xml")))];
        var types = Assembly.Load(name).GetTypes().ToDictionary(type => type.FullName!.Replace('+', '.'));
        foreach (string id in all)
        {
            string[] path = id[2..].Split('(')[0].Split('~')[0].Split('.');
            string declaring = string.Join('.', id[0] == 'T' ? path : path[..^1]), member = path[^1].Split("``")[0].Replace('#', '.');
            if (!types.TryGetValue(declaring, out Type? type))
                continue;
            bool[] visible = id[0] == 'T' ? [type.IsVisible] : [.. type.GetMember(member, Declared).Select(m => type.IsVisible && IsVisible(m)).Distinct()];
            if (visible.Length == 1)
                Assert.True(visible[0] == shipped.Contains(id), $"{id}: {(visible[0] ? "is missing" : "is an internal")}");
        }

        Assert.Subset(all.ToHashSet(), shipped);
        Assert.NotEmpty(shipped);

        static IEnumerable<string> Members(XDocument documentation) => documentation.Descendants("member").Select(member => member.Attribute("name")!.Value);

        static bool IsVisible(MemberInfo member) => member switch
        {
            MethodBase method => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly,
            FieldInfo field => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly,
            PropertyInfo property => property.GetAccessors(nonPublic: true).Any(IsVisible),
            EventInfo @event => IsVisible(@event.AddMethod!),
            _ => member is Type { IsVisible: true },
        };
    }

    [Theory]
    [InlineData("what is the fastest here", "VirtKit.Devices", "VirtKit.Accel")]
    [InlineData("interpreter: The fastest engine that runs riscv64 here. Not VirtKit.Accel: The package, which has the translator and KVM, is not referenced.", "VirtKit.Devices")]
    public async Task Consumer_OfThePackages_RunsAMachineOnTheFastestEngineThatItReferences(string engine, params string[] packages)
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
                {string.Concat(packages.Select(package => $"<PackageReference Include=\"{package}\" Version=\"{feed.Version}\" />"))}
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
            Console.WriteLine($"{exit.Reason} {machine.Vcpus[0].GetState<RiscVState>().X[10]} {machine.EngineSelection}");
            Console.WriteLine(Path.GetRelativePath(AppContext.BaseDirectory, typeof(Machine).Assembly.Location));
            """);

        // A cache of its own: a package of the same version from an earlier run must not be taken for this one.
        var environment = new Dictionary<string, string> { ["NUGET_PACKAGES"] = folder.File("packages") };
        string output = await HostProcess.RunAsync("dotnet", ["run", "-c", "Release"], folder.Path, TimeSpan.FromMinutes(5), environment);
        string expected = packages.Contains("VirtKit.Accel") ? EngineSelection.Choose(new RiscVArchitecture()).ToString() : engine;
        string file = feed.WithoutPrecompiled is null && OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64 ? "runtimes/linux-x64/lib/net10.0/VirtKit.dll" : "VirtKit.dll";
        Assert.Equal([$"BudgetExhausted 42 {expected}", file], output.Trim().ReplaceLineEndings("\n").Split('\n'));
    }

    [GeneratedRegex(@"\[([^\]]*)\]\((?!https?:)[^)]*\)")]
    private static partial Regex RepositoryLink();
}
