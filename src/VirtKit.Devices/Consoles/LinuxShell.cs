using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace VirtKit.Devices.Consoles;

/// <summary>A POSIX shell in a Linux guest (ash, dash, bash) that waits at its prompt on a console: runs commands there and gets their output and exit status.</summary>
/// <remarks>
/// The commands run one after the other in the same shell, so a changed folder or variable stays. Their standard input is <c>/dev/null</c>. What the terminal adds
/// (the echo of what is typed, prompts, CR before LF) is not part of their output. Opening the shell turns the kernel's own messages on the console off, as far as
/// the guest lets it, since they would stand in the middle of the output; they stay readable with <c>dmesg</c>.
/// A guest is not trusted with its own result: it can print whatever it likes. Used by one caller at a time.
/// </remarks>
/// <example>
/// <code>
/// Task&lt;VcpuExit&gt; run = console.Follow(board.Machine.RunAsync());
/// LinuxShell shell = await LinuxShell.OpenAsync(console, TimeSpan.FromMinutes(1));
/// ShellResult result = await shell.RunAsync("uname -r", TimeSpan.FromSeconds(10));
/// Console.WriteLine($"{result.ExitStatus}: {result.Output}");
/// </code>
/// </example>
public sealed class LinuxShell
{
    /// <summary>The longest text of a command that is typed at once: a shell's line editor takes some 1,000 characters, a terminal without one 4,095.</summary>
    private const int PieceLength = 200;

    /// <summary>A message that the kernel writes between two characters of the guest, from its time to the end of the line.</summary>
    private const string KernelMessages = @"(?:\[ *\d+\.\d{6}\][^\n]*\n)*";

    private static readonly TimeSpan AttemptLimit = TimeSpan.FromSeconds(2), PatternLimit = TimeSpan.FromSeconds(10);

    private readonly MemoryConsole _console;

    /// <summary>Counts the marks, so that none is mistaken for another: a late answer is passed over.</summary>
    private int _mark;

    private LinuxShell(MemoryConsole console) => _console = console;

    /// <summary>Waits until a shell answers on a console. Where the guest asks for a user name, log in first; while it boots this may be called at once.</summary>
    /// <param name="console">The console; tied to the machine's run with <see cref="MemoryConsole.Follow"/>, a guest that ends is noticed at once.</param>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <inheritdoc cref="MemoryConsole.ExpectAsync(string, TimeSpan, CancellationToken)" path="/exception"/>
    public static async Task<LinuxShell> OpenAsync(MemoryConsole console, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(console);
        ConsoleTimeout.ThrowIfInvalid(timeout);
        long deadline = ConsoleTimeout.Deadline(timeout);
        var shell = new LinuxShell(console);
        while (true)
        {
            // What is typed before the shell is there may be lost, so it is typed again until there is an answer.
            TimeSpan left = Left(deadline);
            string mark = shell.NextMark();
            console.Type($"printf '<%s-%s>\\n' virtkit {mark}\r");
            try
            {
                await shell.ExpectMarkAsync(mark, left == Timeout.InfiniteTimeSpan || left > AttemptLimit ? AttemptLimit : left, cancellationToken).ConfigureAwait(false);
                break;
            }
            catch (TimeoutException e)
            {
                if (Left(deadline) == TimeSpan.Zero)
                    throw new TimeoutException($"No shell has answered within {timeout.TotalSeconds:0.###} s. {e.Message}", e);
            }
        }

        await shell.RunAsync("dmesg -n 1 || echo 1 > /proc/sys/kernel/printk", Left(deadline), cancellationToken).ConfigureAwait(false);
        return shell;
    }

    /// <summary>Runs a command to its end.</summary>
    /// <param name="command">Any text that the shell takes, of any length, also several lines; without the character NUL. One that ends the shell itself
    /// (<c>exit</c>) has no result: the wait for it times out, or ends with the guest.</param>
    /// <param name="timeout">How long it may take; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Ends the wait, not the command: the shell is not to be used after that, nor after a timeout.</param>
    /// <returns>Its output and exit status; 2 as a rule where it is not a shell's language.</returns>
    /// <inheritdoc cref="MemoryConsole.ExpectAsync(string, TimeSpan, CancellationToken)" path="/exception"/>
    public async Task<ShellResult> RunAsync(string command, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(command);
        if (command.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException("A command has no character NUL.", nameof(command));
        ConsoleTimeout.ThrowIfInvalid(timeout);
        long deadline = ConsoleTimeout.Deadline(timeout);
        await TypeAsync("_virtkit=", deadline, cancellationToken).ConfigureAwait(false);
        foreach (string piece in Pieces(command))
            await TypeAsync($"_virtkit=$_virtkit'{piece}'", deadline, cancellationToken).ConfigureAwait(false);

        // What is typed holds the marks' format and not the marks, so that no echo, however a line editor breaks it, looks like one.
        // "command" keeps a shell from leaving the line where the text is no command.
        string mark = NextMark();
        string begin = Interleaved($"<virtkit-{mark}-begin>\n"), end = Interleaved($"<virtkit-{mark}-end-") + $"(?<status>(?:\\d{KernelMessages}){{3}})" + Interleaved(">\n");
        long dropped = _console.Dropped;
        _console.Type($"printf '<%s-%s-begin>\\n' virtkit {mark}; command eval \"$(printf %b \"$_virtkit\")\" </dev/null; printf '<%s-%s-end-%03d>\\n' virtkit {mark} $?\r");
        ConsoleMatch match = await _console.ExpectAsync(Pattern($"{begin}|{end}", $"the start of the command '{command}'"), Left(deadline), cancellationToken).ConfigureAwait(false);
        if (!match.Match.Groups["status"].Success)
            match = await _console.ExpectAsync(Pattern(end, $"the end of the command '{command}'"), Left(deadline), cancellationToken).ConfigureAwait(false);
        string status = Regex.Replace(match.Match.Groups["status"].Value, KernelMessages, "");
        return new ShellResult(int.Parse(status, CultureInfo.InvariantCulture), match.Before.Replace("\r\n", "\n", StringComparison.Ordinal)) { IsTruncated = _console.Dropped != dropped };
    }

    /// <summary>Types a line that prints nothing and waits until the shell has read it, so that no more is typed than a terminal keeps.</summary>
    private async Task TypeAsync(string line, long deadline, CancellationToken cancellationToken)
    {
        string mark = NextMark();
        _console.Type($"{line}; printf '<%s-%s>\\n' virtkit {mark}\r");
        await ExpectMarkAsync(mark, Left(deadline), cancellationToken).ConfigureAwait(false);
    }

    private Task<ConsoleMatch> ExpectMarkAsync(string mark, TimeSpan timeout, CancellationToken cancellationToken) =>
        _console.ExpectAsync(Pattern(Interleaved($"<virtkit-{mark}>\n"), "the shell's answer"), timeout, cancellationToken);

    private string NextMark() => (++_mark).ToString(CultureInfo.InvariantCulture);

    private static TimeSpan Left(long deadline) => deadline == long.MaxValue ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(ConsoleTimeout.Left(deadline));

    private static RegexPattern Pattern(string pattern, string meaning) =>
        new(new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, PatternLimit), meaning);

    /// <summary>The pattern of a mark with kernel messages anywhere in it. A line ends as the terminal has it.</summary>
    private static string Interleaved(string mark) =>
        string.Concat(mark.Select(c => (c == '\n' ? $"\\r?{KernelMessages}\\n" : Regex.Escape(c.ToString())) + (c == '\n' ? "" : KernelMessages)));

    /// <summary>A command as <c>printf %b</c> reads it, in pieces that a line editor takes: what is not a plain character of ASCII stands as an octal number.</summary>
    private static IEnumerable<string> Pieces(string command)
    {
        var piece = new StringBuilder();
        foreach (byte b in Encoding.UTF8.GetBytes(command))
        {
            bool plain = b is >= 0x20 and < 0x7f && "\\'!%".IndexOf((char)b, StringComparison.Ordinal) < 0;
            piece.Append(plain ? ((char)b).ToString() : "\\0" + Convert.ToString(b, 8).PadLeft(3, '0'));
            if (piece.Length < PieceLength)
                continue;
            yield return piece.ToString();
            piece.Clear();
        }

        if (piece.Length > 0)
            yield return piece.ToString();
    }
}
