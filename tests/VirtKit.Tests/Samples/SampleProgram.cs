using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace VirtKit.Tests.Samples;

/// <summary>Starts a sample as its user does, from the copy beside the tests.</summary>
internal static class SampleProgram
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    /// <summary>Runs a sample to its end.</summary>
    public static (int Code, string Output, string Errors) Run(string sample, params string[] arguments) => RunWith(sample, [], arguments);

    /// <summary>Runs a sample that finds nothing in its cache.</summary>
    public static (int Code, string Output, string Errors) RunWithoutCache(string sample, params string[] arguments)
    {
        string cache = Directory.CreateTempSubdirectory("virtkit-cache").FullName;
        try
        {
            return RunWith(sample, [("VIRTKIT_CACHE", cache)], arguments);
        }
        finally
        {
            Directory.Delete(cache, recursive: true);
        }
    }

    /// <summary>A file of samples/guests, found from this source file's place.</summary>
    public static string Guest(string name, [CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../../samples/guests", name));

    /// <summary>Runs a sample with changes to its environment.</summary>
    public static (int Code, string Output, string Errors) RunWith(string sample, (string Name, string Value)[] environment, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, sample + ".dll"), .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        bool ended = process.WaitForExit(Limit);
        if (!ended)
            process.Kill();
        Assert.True(ended, $"{sample} does not end:\n{output.Result}\n{errors.Result}");
        return (process.ExitCode, output.Result, errors.Result);
    }
}
