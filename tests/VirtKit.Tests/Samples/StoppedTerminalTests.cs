using System.Diagnostics;
using VirtKit.Boot.Linux;
using VirtKit.Samples.BootLinux;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Samples;

public sealed class StoppedTerminalTests
{
    /// <summary>The kernel's log fills the terminal and every buffer behind it; the user must still get out.</summary>
    [Theory]
    [InlineData("interpreter", "--append", "loglevel=8 initcall_debug")]
    [InlineData("translator", "--append", "loglevel=8 initcall_debug")]
    [InlineData("translator", "--cpus", "2")]
    public void BootLinux_TerminalStandsStill_CtrlAXLeaves(string engine, string option, string value)
    {
        Assert.SkipUnless(RiscVEngines.All.Contains(engine), $"The {engine} does not run on this host.");
        Require.File(DebianGuest.RiscV64.FindCached(Guest.CacheFolder())?.Kernel ?? "Debian's kernel", "samples/BootLinux fetches it when it first runs");
        using var terminal = new PseudoTerminal();
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec \"$0\" \"$@\" < \"$TERMINAL\" > \"$TERMINAL\" 2>&1", "dotnet",
            Path.Combine(AppContext.BaseDirectory, "BootLinux.dll"), "--engine", engine, option, value]);
        start.Environment["TERMINAL"] = terminal.Path;
        using Process boot = Process.Start(start)!;
        try
        {
            // The guest writes, and then nothing moves any more.
            Assert.True(SpinWait.SpinUntil(() => StandsStill(terminal), TimeSpan.FromMinutes(1)), "The terminal does not fill.");
            terminal.Type("keys that the guest may not read"u8);
            terminal.Type([1, (byte)'x']);
            Assert.True(boot.WaitForExit(TimeSpan.FromSeconds(30)), "Ctrl-A x does not leave.");
            Assert.Equal(0, boot.ExitCode);
        }
        finally
        {
            boot.Kill(entireProcessTree: true);
        }
    }

    private static bool StandsStill(PseudoTerminal terminal)
    {
        int before = terminal.Waiting;
        Thread.Sleep(500);
        return before >= 2048 && terminal.Waiting == before;
    }
}
