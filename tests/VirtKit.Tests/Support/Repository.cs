using System.Runtime.CompilerServices;

namespace VirtKit.Tests.Support;

/// <summary>Places in the source tree that the tests were built from.</summary>
internal static class Repository
{
    /// <summary>The folder of VirtKit.sln.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The assemblies that ship, by name.</summary>
    public static TheoryData<string> Assemblies => ["VirtKit", "VirtKit.Devices", "VirtKit.Accel"];

    private static string FindRoot([CallerFilePath] string file = "")
    {
        string? folder = Path.GetDirectoryName(file);
        while (folder is not null && !File.Exists(Path.Combine(folder, "VirtKit.sln")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("The tests do not run where they were built.");
    }
}
