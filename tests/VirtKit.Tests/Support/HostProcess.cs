using System.Diagnostics;
using System.Text;

namespace VirtKit.Tests.Support;

/// <summary>Runs a program of the host to its end, with its output kept and its time limited.</summary>
internal static class HostProcess
{
    /// <summary>Runs it and returns standard output; a failure or a timeout fails the test with all it wrote.</summary>
    public static async Task<string> RunAsync(string program, IEnumerable<string> arguments, string folder, TimeSpan limit, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
        };
        // What the build that runs the tests says about itself must not reach a build that a test runs.
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
            start.Environment.Remove(name);
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;

        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = new StringBuilder();
        var all = new StringBuilder();
        process.OutputDataReceived += (_, line) => Append(line.Data, output, all);
        process.ErrorDataReceived += (_, line) => Append(line.Data, all);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var timeout = new CancellationTokenSource(limit);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} {string.Join(' ', arguments)} ran for more than {limit}.\n{all}");
        }

        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} exited with {process.ExitCode}.\n{all}");
        return output.ToString();
    }

    private static void Append(string? line, params ReadOnlySpan<StringBuilder> texts)
    {
        if (line is null)
            return;
        foreach (StringBuilder text in texts)
        {
            lock (text)
                text.AppendLine(line);
        }
    }
}
