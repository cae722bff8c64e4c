using System.Diagnostics;

namespace VirtKit.Samples.BootLinux.Fetch;

/// <summary>A program of the host that the fetch leans on: apt's and dpkg's tools.</summary>
internal static class HostProgram
{
    /// <summary>The program's path, or <see langword="null"/> where it is not installed.</summary>
    public static string? Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Append("/usr/lib/apt").Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Runs a program to its end and returns what it wrote.</summary>
    /// <exception cref="FetchException">It is not installed or failed.</exception>
    public static byte[] Run(string name, params string[] arguments)
    {
        using var output = new MemoryStream();
        Run(name, arguments, stream => stream.CopyTo(output));
        return output.ToArray();
    }

    /// <summary>Runs a program while <paramref name="read"/> consumes its output.</summary>
    /// <exception cref="FetchException">It is not installed or failed.</exception>
    public static void Run(string name, string[] arguments, Action<Stream> read)
    {
        string path = Find(name) ?? throw new FetchException($"{name} is not installed");
        var start = new ProcessStartInfo(path, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        using Process process = Process.Start(start) ?? throw new FetchException($"{name} does not start");
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        try
        {
            read(process.StandardOutput.BaseStream);
        }
        catch
        {
            process.Kill();
            throw;
        }

        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new FetchException($"{name} failed: {errors.Result.Trim().Split('\n')[^1]}");
    }
}
