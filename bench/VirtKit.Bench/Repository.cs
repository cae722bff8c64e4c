namespace VirtKit.Bench;

/// <summary>The checkout that this program was built from: it holds the guests' sources, the samples and the results.</summary>
internal static class Repository
{
    /// <summary>The full path of a file or folder below the root.</summary>
    /// <exception cref="BenchException">The program does not run from inside a checkout.</exception>
    public static string PathOf(params ReadOnlySpan<string> parts) => Path.Combine([FindRoot(), .. parts]);

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "VirtKit.sln")))
                return folder.FullName;
        }

        throw new BenchException("The benchmarks run from inside a checkout of the repository: no VirtKit.sln above the program.");
    }
}
