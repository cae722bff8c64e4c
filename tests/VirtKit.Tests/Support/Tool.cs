using System.Diagnostics;

namespace VirtKit.Tests.Support;

/// <summary>Runs a program of the host that a result is compared with.</summary>
internal static class Tool
{
    /// <summary>Feeds a program and returns what it writes; a failure of the program is one of the test.</summary>
    public static byte[] Run(string program, ReadOnlySpan<byte> input, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        byte[] bytes = input.ToArray();
        Task feed = Task.Run(() =>
        {
            using Stream stream = process.StandardInput.BaseStream;
            stream.Write(bytes);
        });
        Task<string> errors = process.StandardError.ReadToEndAsync();
        using var output = new MemoryStream();
        process.StandardOutput.BaseStream.CopyTo(output);
        Assert.True(process.WaitForExit(60_000), $"{program} does not end.");
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} failed: {errors.Result}");
        feed.Wait();
        return output.ToArray();
    }
}
