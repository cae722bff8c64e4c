using System.Reflection;
using System.Xml.Linq;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Packaging;

/// <summary>Packs what was built with the tests into the local feed, once for all tests.</summary>
public sealed class PackedFeed : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    /// <summary>The feed's folder, read from nuget.config as a restore would.</summary>
    public string Folder { get; } = Path.Combine(Repository.Root, XDocument.Load(Path.Combine(Repository.Root, "nuget.config"))
        .Descendants("add").Single(add => (string?)add.Attribute("key") == "virtkit-local").Attribute("value")!.Value);

    /// <summary>The version that the packages carry.</summary>
    public string Version { get; } = XDocument.Load(Path.Combine(Repository.Root, "src", "Directory.Build.props")).Descendants("Version").Single().Value;

    /// <summary>Why the packages have no code that was compiled ahead, or <see langword="null"/> where they have it.</summary>
    public string? WithoutPrecompiled { get; private set; }

    public async ValueTask InitializeAsync()
    {
        try
        {
            await PackAsync();
        }
        catch (Xunit.Sdk.FailException e) when (e.Message.Contains("error NU110", StringComparison.Ordinal))
        {
            WithoutPrecompiled = "The compiler that compiles ahead cannot be restored here.";
            await PackAsync("-p:PrecompiledRuntime=none");
        }
    }

    private static async Task PackAsync(params string[] properties)
    {
        string configuration = typeof(PackedFeed).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        foreach (ITheoryDataRow assembly in Repository.Assemblies)
        {
            string project = Path.Combine("src", (string)assembly.GetData()[0]!);
            await HostProcess.RunAsync("dotnet", ["pack", project, "-c", configuration, "--no-build", "--nologo", .. properties], Repository.Root, Limit);
        }
    }

    public string Package(string name, string extension) => Path.Combine(Folder, $"{name}.{Version}.{extension}");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
