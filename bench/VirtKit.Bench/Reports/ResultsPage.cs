namespace VirtKit.Bench.Reports;

/// <summary>A page of results: on the console, and where asked also as a file.</summary>
internal static class ResultsPage
{
    /// <summary>Writes the page.</summary>
    /// <param name="text">Markdown.</param>
    /// <param name="file">The file, or <see langword="null"/> for the console only.</param>
    public static async Task Write(string text, string? file)
    {
        await Console.Out.WriteLineAsync(text);
        if (file is null)
            return;
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        await File.WriteAllTextAsync(file, text);
    }
}
