using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace VirtKit.Devices.Consoles;

public sealed partial class MemoryConsole
{
    /// <summary>How much of the output a message shows at most.</summary>
    private const int MessageLines = 20, MessageBytes = 4096;

    /// <summary>The run that is followed, and how it has ended; it has not while this is <see langword="null"/>.</summary>
    private Task<VcpuExit>? _run;
    private GuestEnd? _end;

    // Completed at the next byte in either direction, or at the guest's end; made only when somebody waits.
    private TaskCompletionSource? _activity;
    private bool _expecting;

    /// <summary>Ties the console to a machine's run: when it ends, whoever waits at the console is told at once. A later run is followed in its place.</summary>
    /// <param name="run">What <see cref="Machine.RunAsync(CancellationToken)"/> returned.</param>
    /// <returns>The same exit, once the console knows of it.</returns>
    public Task<VcpuExit> Follow(Task<VcpuExit> run)
    {
        ArgumentNullException.ThrowIfNull(run);
        lock (_gate)
        {
            _run = run;
            _end = null;
        }

        return FollowToEndAsync(run);
    }

    /// <summary>Waits until the guest has written a text, and consumes the output up to the end of the text. Output that came before the call counts too.</summary>
    /// <param name="text">The text, not empty, compared as UTF-8 bytes.</param>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Ends the wait; nothing is consumed then.</param>
    /// <returns>What was consumed: all output since the last match, including this one.</returns>
    /// <exception cref="TimeoutException">It did not come in time; the message shows the last lines of output.</exception>
    /// <exception cref="GuestEndedException">The machine that the console follows has stopped without having written it.</exception>
    /// <exception cref="InvalidOperationException">Another call waits already: one at a time consumes.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public Task<string> ExpectAsync(string text, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        return ExpectAsync(new TextPattern(text), timeout, cancellationToken);
    }

    /// <summary>Waits until the output since the last match matches a regular expression, and consumes it up to the end of the match.</summary>
    /// <param name="pattern">The expression. It sees what has come so far: where a match could go on (<c>\d+</c>), let it say what follows. The guest chooses
    /// the text: an expression that can take exponential time has a timeout, or <see cref="RegexOptions.NonBacktracking"/>.</param>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Ends the wait; nothing is consumed then.</param>
    /// <returns>The match, and what was consumed before it.</returns>
    /// <exception cref="RegexMatchTimeoutException">The expression took longer than its own timeout.</exception>
    /// <inheritdoc cref="ExpectAsync(string, TimeSpan, CancellationToken)" path="/exception"/>
    public Task<ConsoleMatch> ExpectAsync(Regex pattern, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        return ExpectAsync(new RegexPattern(pattern), timeout, cancellationToken);
    }

    /// <summary>Types a line and waits until the guest has taken it from its port.</summary>
    /// <param name="line">The line without its end, to which a carriage return is added: what the Enter key sends.</param>
    /// <param name="cancellationToken">Ends the wait; the line stays typed.</param>
    /// <exception cref="GuestEndedException">The machine that the console follows stopped before.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public async Task SendLineAsync(string line, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(line);
        byte[] bytes = Encoding.UTF8.GetBytes(line + "\r");
        long end;
        lock (_gate)
        {
            _input.Append(bytes);
            end = _read + _input.Count;
        }

        Changed?.Invoke();
        while (true)
        {
            Task activity;
            lock (_gate)
            {
                if (_read >= end)
                    return;
                ThrowIfEnded("it took a line that was typed");
                activity = NextActivity();
            }

            await activity.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>As the public ones, with any kind of pattern.</summary>
    internal async Task<T> ExpectAsync<T>(ConsolePattern<T> pattern, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ConsoleTimeout.ThrowIfInvalid(timeout);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (_expecting)
                throw new InvalidOperationException("Another call waits at this console already.");
            _expecting = true;
        }

        try
        {
            return await SearchAsync(pattern, timeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
                _expecting = false;
        }
    }

    private async Task<VcpuExit> FollowToEndAsync(Task<VcpuExit> run)
    {
        try
        {
            VcpuExit exit = await run.ConfigureAwait(false);
            End(run, new GuestEnd(exit, null));
            return exit;
        }
        catch (Exception e)
        {
            End(run, new GuestEnd(null, e));
            throw;
        }
    }

    private void End(Task<VcpuExit> run, GuestEnd end)
    {
        lock (_gate)
        {
            // A run that is followed no more tells nothing about the present one.
            if (_run != run)
                return;
            _end = end;
            Pulse();
        }
    }

    private async Task<T> SearchAsync<T>(ConsolePattern<T> pattern, TimeSpan timeout, CancellationToken cancellationToken)
    {
        long deadline = ConsoleTimeout.Deadline(timeout), start = 0, taken = 0;
        while (true)
        {
            GuestEnd? end;
            Task activity;
            lock (_gate)
            {
                if (start != _consumed)
                {
                    pattern.Clear();
                    start = taken = _consumed;
                }

                pattern.Add(_output.Bytes[(int)(taken - _first)..]);
                taken = _first + _output.Count;
                end = _end;
                activity = NextActivity();
            }

            long began = Stopwatch.GetTimestamp();
            if (pattern.TryFind(out int length, out T? result))
            {
                lock (_gate)
                    _consumed = Math.Max(_consumed, start + length);
                // A guest that was held back may go on.
                if (_overflow == ConsoleOverflow.Wait)
                    Changed?.Invoke();
                return result!;
            }

            if (end is not null)
                ThrowIfEnded($"its console showed {pattern}");
            await WaitAsync(activity, Stopwatch.GetElapsedTime(began), deadline, pattern, timeout, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task WaitAsync(Task activity, TimeSpan searchTook, long deadline, object pattern, TimeSpan timeout, CancellationToken cancellationToken)
    {
        int left = ConsoleTimeout.Left(deadline);
        try
        {
            // A task that is complete ends the wait without a look at the time, and a guest that floods the console completes one after the other.
            if (left == 0)
                throw new TimeoutException();
            await activity.WaitAsync(deadline == long.MaxValue ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(left), cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{pattern} did not come within {timeout.TotalSeconds:0.###} s.{LastLines()}", e);
        }

        // A guest that writes byte by byte must not keep a processor busy with searching much text over and over.
        if (searchTook.TotalMilliseconds > 1)
            await Task.Delay(searchTook, cancellationToken).ConfigureAwait(false);
    }

    private void ThrowIfEnded(string before)
    {
        lock (_gate)
        {
            if (_end is { } end)
                throw new GuestEndedException($"The guest ended ({end}) before {before}.{LastLines()}", end.Exit, end.Error);
        }
    }

    /// <summary>The last lines of the output for a message. Control characters, which could do things to the terminal that shows it, are left out.</summary>
    private string LastLines()
    {
        string text;
        lock (_gate)
            text = Encoding.UTF8.GetString(_output.Bytes[Math.Max(0, _output.Count - MessageBytes)..]);
        string[] lines = text.TrimEnd().Split('\n');
        var shown = new StringBuilder(" The last lines of output:");
        foreach (string line in lines.TakeLast(MessageLines))
            shown.Append('\n').Append([.. line.Where(c => !char.IsControl(c) || c == '\t')]);
        return shown.ToString();
    }

    private Task NextActivity() => (_activity ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    private void Pulse()
    {
        Monitor.PulseAll(_gate);
        _activity?.SetResult();
        _activity = null;
    }

    private sealed record GuestEnd(VcpuExit? Exit, Exception? Error)
    {
        public override string ToString() => Exit is { } exit
            ? exit.Reason + (exit.Reason == ExitReason.Shutdown ? $", code {exit.Code}" : "") + (exit.Detail is { } detail ? $": {detail}" : "") : $"{Error!.GetType().Name}: {Error.Message}";
    }
}
