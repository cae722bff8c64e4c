using System.Diagnostics;

namespace VirtKit.Boot.Linux;

/// <summary>A program of the host that a fetch leans on: apt's, dpkg's and xz's tools.</summary>
internal static class HostProgram
{
    /// <summary>The program's path, which may be given already, or <see langword="null"/> where it is not installed.</summary>
    public static string? Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Append("/usr/lib/apt").Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Runs a program to its end and returns what it wrote.</summary>
    /// <param name="name">The program.</param>
    /// <param name="package">The Debian package that has it.</param>
    /// <param name="limit">The most bytes that it may write.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="cancellationToken">Kills it.</param>
    /// <exception cref="GuestFilesException">It is not installed, failed or wrote more.</exception>
    public static byte[] Run(string name, string package, long limit, string[] arguments, CancellationToken cancellationToken)
    {
        using var output = new MemoryStream();
        Run(name, package, arguments, stream => new LimitedStream(stream, limit, $"The output of {name}").CopyTo(output), cancellationToken);
        return output.ToArray();
    }

    /// <summary>Runs a program while <paramref name="read"/> consumes its output.</summary>
    /// <inheritdoc cref="Run(string, string, long, string[], CancellationToken)"/>
    public static void Run(string name, string package, string[] arguments, Action<Stream> read, CancellationToken cancellationToken)
    {
        string path = Find(name) ?? throw Missing(name, package);
        var start = new ProcessStartInfo(path, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        // Messages are looked at by people who search for them.
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start) ?? throw new GuestFilesException($"{name} does not start.");
        using CancellationTokenRegistration kill = cancellationToken.Register(() => Kill(process));
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            read(process.StandardOutput.BaseStream);
        }
        catch
        {
            Kill(process);
            throw;
        }

        process.WaitForExit();
        cancellationToken.ThrowIfCancellationRequested();
        if (process.ExitCode != 0)
            throw new GuestFilesException($"{Path.GetFileName(name)} failed: {errors.Result.Trim().Split('\n')[^1]}");
    }

    /// <summary>Says what is missing and what to install.</summary>
    public static GuestFilesException Missing(string name, string package) =>
        new($"{name} is not installed. On Debian and Ubuntu: sudo apt-get install {package}") { MissingProgram = name };

    private static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended meanwhile.
        }
    }
}
