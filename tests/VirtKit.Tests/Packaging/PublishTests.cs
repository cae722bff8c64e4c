using System.Runtime.InteropServices;
using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.Tests.Samples;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Packaging;

/// <summary>A host application may publish trimmed or as native code: the sample does, without a warning, and still runs guests, also on the translator where the host's
/// processor has what that needs, whatever the program was compiled for.</summary>
[Collection(nameof(PublishTests))]
public sealed class PublishTests(PublishTests.Artifacts artifacts) : IClassFixture<PublishTests.Artifacts>
{
    /// <summary>What the analyzers say is the build's business.</summary>
    private const string NoAnalyzers = "-p:RunAnalyzers=false";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);
    private static readonly string RunElf = Path.Combine(Repository.Root, "samples", "RunElf");

    [Theory]
    [InlineData("PublishTrimmed", "the trimmed runtime")]
    [InlineData("PublishAot", "NativeAOT")]
    public async Task RunElf_PublishedSo_RunsAGuest(string property, string what)
    {
        using var folder = new TemporaryFolder();
        await PublishAsync(RunElf, property, what, folder);
        await HostProcess.RunAsync(folder.File("out/RunElf"), [SampleProgram.Guest("finish-pass.elf")], folder.Path, Limit);
        if (new TranslatorEngine().Supports(new RiscVArchitecture(), out _))
            await HostProcess.RunAsync(folder.File("out/RunElf"), ["--engine", "translator", SampleProgram.Guest("finish-pass.elf")], folder.Path, Limit);
    }

    /// <summary>Nothing in the application but the reference names an engine: the trimmer has to keep what the machine finds by its name.</summary>
    [Theory]
    [InlineData("PublishTrimmed", "the trimmed runtime")]
    [InlineData("PublishAot", "NativeAOT")]
    public async Task Consumer_ThatNamesNoEngine_PublishedSo_FindsTheFastest(string property, string what)
    {
        using var folder = new TemporaryFolder();
        string source = Path.Combine(Repository.Root, "src"), project = Directory.CreateDirectory(folder.File("consumer")).FullName;
        await File.WriteAllTextAsync(Path.Combine(project, "Consumer.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
              <ItemGroup>
                <ProjectReference Include="{source}/VirtKit/VirtKit.csproj" />
                <ProjectReference Include="{source}/VirtKit.Accel/VirtKit.Accel.csproj" />
              </ItemGroup>
            </Project>
            """);
        await File.WriteAllTextAsync(Path.Combine(project, "Program.cs"), """
            System.Console.WriteLine(VirtKit.Engines.EngineSelection.Choose(new VirtKit.RiscV.RiscVArchitecture()));
            """);
        await PublishAsync(project, property, what, folder);
        string output = await HostProcess.RunAsync(folder.File("out/Consumer"), [], folder.Path, Limit);
        Assert.Equal(EngineSelection.Choose(new RiscVArchitecture()).ToString(), output.Trim());
    }

    /// <summary>Publishes a project into <c>out</c>, or skips where the packs for it cannot be restored. A warning of the trimmer fails.</summary>
    private async Task PublishAsync(string project, string property, string what, TemporaryFolder folder)
    {
        string runtime = RuntimeInformation.RuntimeIdentifier;
        string[] common = [project, "-r", runtime, $"-p:{property}=true", NoAnalyzers, "--artifacts-path", artifacts.Folder.Path];
        try
        {
            await HostProcess.RunAsync("dotnet", ["restore", .. common], Repository.Root, Limit);
        }
        catch (Xunit.Sdk.FailException e) when (e.Message.Contains("error NU110", StringComparison.Ordinal))
        {
            Assert.Skip($"The packs of {what} for {runtime} cannot be restored here.");
        }

        string log = await HostProcess.RunAsync(
            "dotnet", ["publish", .. common, "--no-restore", "--self-contained", "true", "-c", "Release", "-o", folder.File("out")], Repository.Root, Limit);
        Assert.DoesNotContain("warning IL", log, StringComparison.Ordinal);
    }

    /// <summary>Folders of its own, for the build that runs these tests may still be using the others. The packages are compiled there once, before the tests.</summary>
    public sealed class Artifacts : IAsyncLifetime
    {
        internal TemporaryFolder Folder { get; } = new();

        public async ValueTask InitializeAsync()
        {
            try
            {
                await HostProcess.RunAsync("dotnet", ["build", RunElf, "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier, NoAnalyzers, "--artifacts-path", Folder.Path], Repository.Root, Limit);
            }
            catch (Xunit.Sdk.FailException)
            {
                // Each test says what fails.
            }
        }

        public ValueTask DisposeAsync()
        {
            Folder.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

/// <summary>Alone, because a native compiler takes every core, and beside other tests more than a minute.</summary>
[CollectionDefinition(nameof(PublishTests), DisableParallelization = true)]
public sealed class PublishCollection;
