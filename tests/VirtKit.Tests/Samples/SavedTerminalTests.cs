using System.Diagnostics;
using System.Text;
using VirtKit.Boot.Linux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Samples;

public sealed class SavedTerminalTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(25);

    /// <summary>A shell with a variable of its own, saved at a key and gone on with in another process, on the other engine.</summary>
    [Fact]
    public void BootLinux_SavedAtAKey_GoesOnInAnotherProcess()
    {
        Translator.Translators.Require();
        Require.Debian(DebianGuest.RiscV64);
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "shell.vksnap");
        With(["--engine", "translator", "--quiet", "--save", file], terminal =>
        {
            Ask(terminal, "KEPT=kept; echo ready $((6*7))\r", "ready 42");
            terminal.Type([1, (byte)'s']);
            Assert.Contains("Saved to shell.vksnap", terminal.ReadTo("ms.", Limit), StringComparison.Ordinal);
            Ask(terminal, "echo goes on $((6*8))\r", "goes on 48");
        });
        With(["--engine", "interpreter", "--quiet", "--restore", file], terminal => Ask(terminal, "echo it was $KEPT $((6*9))\r", "it was kept 54"));
    }

    /// <summary>A shell that is recorded while somebody types, and repeated in another process, on the other engine, where nobody does.</summary>
    [Fact]
    public void BootLinux_Recorded_IsRepeatedInAnotherProcess()
    {
        Translator.Translators.Require();
        Require.Debian(DebianGuest.RiscV64);
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "shell.vkrec");
        With(["--engine", "translator", "--quiet", "--record", file], terminal =>
        {
            Ask(terminal, "echo typed $((6*7))\r", "typed 42");
            Ask(terminal, "dd if=/dev/hwrng bs=1k count=4 2>/dev/null | md5sum > /tmp/sum; cat /tmp/sum; echo ready $((6*8))\r", "ready 48");
        });
        (int code, string output, string errors) = SampleProgram.Run("BootLinux", "--engine", "interpreter", "--quiet", "--replay", file);
        Assert.True(code == 0, errors);
        Assert.Contains("typed 42", output, StringComparison.Ordinal);
        Assert.Contains("ready 48", output, StringComparison.Ordinal);
        Assert.Contains("The recording is at its end.", errors, StringComparison.Ordinal);
    }

    /// <summary>Types a command until it is answered: what is typed before the program has its terminal is lost.</summary>
    private static void Ask(PseudoTerminal terminal, string command, string answer)
    {
        string seen = "";
        for (int i = 0; i < 10 && !seen.Contains(answer, StringComparison.Ordinal); i++)
        {
            terminal.Type(Encoding.ASCII.GetBytes(command));
            seen += terminal.ReadTo(answer, Limit / 5);
        }

        Assert.True(seen.Contains(answer, StringComparison.Ordinal), seen);
    }

    private static void With(string[] arguments, Action<PseudoTerminal> action)
    {
        using var terminal = new PseudoTerminal();
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec \"$0\" \"$@\" < \"$TERMINAL\" > \"$TERMINAL\" 2>&1", "dotnet", Path.Combine(AppContext.BaseDirectory, "BootLinux.dll"), .. arguments]);
        start.Environment["TERMINAL"] = terminal.Path;
        using Process boot = Process.Start(start)!;
        try
        {
            action(terminal);
            terminal.Type([1, (byte)'x']);
            Assert.True(boot.WaitForExit(Limit), "Ctrl-A x does not leave.");
            Assert.Equal(0, boot.ExitCode);
        }
        finally
        {
            boot.Kill(entireProcessTree: true);
        }
    }
}
