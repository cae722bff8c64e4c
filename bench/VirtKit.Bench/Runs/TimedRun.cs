using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace VirtKit.Bench.Runs;

/// <summary>One run of a whole process, from before its creation to after its end.</summary>
/// <param name="Seconds">Wall-clock time.</param>
/// <param name="ExitCode">The process's exit code.</param>
/// <param name="Output">What it wrote to standard output.</param>
/// <param name="Error">What it wrote to standard error.</param>
internal sealed record TimedRun(double Seconds, int ExitCode, string Output, string Error)
{
    /// <summary>Runs a command to its end, with empty standard input.</summary>
    /// <exception cref="BenchException">It cannot be started, or took longer than <paramref name="timeout"/>.</exception>
    public static async Task<TimedRun> ToEnd(Invocation command, TimeSpan timeout, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        long start = Stopwatch.GetTimestamp();
        using Process process = Start(command);
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
            Task<string> error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            return new TimedRun(seconds, process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new BenchException($"No end after {timeout.TotalSeconds:F0} s: {command}");
        }
        finally
        {
            Stop(process);
        }
    }

    /// <summary>Runs a command until its standard output has a line that contains a text, then ends it.</summary>
    /// <returns>The seconds from process start to that line.</returns>
    /// <exception cref="BenchException">It cannot be started, ended without the line, or took longer than <paramref name="timeout"/>.</exception>
    public static async Task<double> ToLine(Invocation command, string text, TimeSpan timeout, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        long start = Stopwatch.GetTimestamp();
        using Process process = Start(command);
        var error = new StringBuilder();
        process.ErrorDataReceived += (_, line) => error.AppendLine(line.Data);
        process.BeginErrorReadLine();
        try
        {
            while (await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
            {
                if (line.Contains(text, StringComparison.Ordinal))
                    return Stopwatch.GetElapsedTime(start).TotalSeconds;
            }

            await process.WaitForExitAsync(limit.Token);
            throw new BenchException($"Ended with {process.ExitCode} before \"{text}\": {command}\n{error}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new BenchException($"No \"{text}\" after {timeout.TotalSeconds:F0} s: {command}");
        }
        finally
        {
            Stop(process);
        }
    }

    private static Process Start(Invocation command)
    {
        try
        {
            Process process = Process.Start(command.ToStartInfo())!;
            process.StandardInput.Close();
            return process;
        }
        catch (Win32Exception e)
        {
            throw new BenchException($"{command.Program} cannot be started: {e.Message}");
        }
    }

    private static void Stop(Process process)
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
    }
}
