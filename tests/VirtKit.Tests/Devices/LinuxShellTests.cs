using VirtKit.Devices.Consoles;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>Real shells on real terminals, of the host: what they echo, prompt and edit is not made up.</summary>
public sealed class LinuxShellTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Shells => ["dash -i", "bash --norc --noprofile -i", "busybox ash -i"];

    [Theory]
    [MemberData(nameof(Shells))]
    public async Task Run_Commands_GiveOutputAndStatus(string command)
    {
        var console = new MemoryConsole();
        using HostShell host = Start(command, console);
        LinuxShell shell = await LinuxShell.OpenAsync(console, Limit, Cancellation);
        Assert.Equal(new ShellResult(0, "hello\n"), await shell.RunAsync("echo hello", Limit, Cancellation));
        Assert.Equal(new ShellResult(1, ""), await shell.RunAsync("false", Limit, Cancellation));
        Assert.Equal(new ShellResult(255, "no line end"), await shell.RunAsync("printf 'no line end'; (exit 255)", Limit, Cancellation));
        // Both streams, quotes, lines, a tab, which a line editor would act on, and characters outside of ASCII.
        Assert.Equal(new ShellResult(0, "a'b \"c\" !$ \\ % \t\u00e9\u20ac\n"), await shell.RunAsync("x='a'\\''b \"c\" !$ \\ % \t\u00e9\u20ac'\nprintf '%s\\n' \"$x\"", Limit, Cancellation));
        Assert.Equal(new ShellResult(0, "one\ntwo\n"), await shell.RunAsync("echo one >&2\necho two", Limit, Cancellation));
        // The same shell: what it was told stays.
        Assert.Equal(0, (await shell.RunAsync("cd /tmp; greeting=hi", Limit, Cancellation)).ExitStatus);
        Assert.Equal("/tmp hi\n", (await shell.RunAsync("echo $PWD $greeting", Limit, Cancellation)).Output);
        // A program that reads its input finds none, and does not take what is typed next.
        Assert.Equal(new ShellResult(0, ""), await shell.RunAsync("cat", Limit, Cancellation));
        Assert.Equal(127, (await shell.RunAsync("no-such-program", Limit, Cancellation)).ExitStatus);
        ShellResult broken = await shell.RunAsync("if then )", Limit, Cancellation);
        Assert.NotEqual(0, broken.ExitStatus);
        Assert.NotEqual("", broken.Output);
        Assert.Equal(new ShellResult(0, ""), await shell.RunAsync("", Limit, Cancellation));
        // Marks of this very session in the output are no marks.
        Assert.Equal(new ShellResult(0, "<virtkit-1-begin>\n<virtkit-1-end-007>\n"), await shell.RunAsync("echo '<virtkit-1-begin>'; echo '<virtkit-1-end-007>'", Limit, Cancellation));
    }

    [Theory]
    [MemberData(nameof(Shells))]
    public async Task Run_LongCommandAndLongOutput_LoseNothing(string command)
    {
        var console = new MemoryConsole();
        using HostShell host = Start(command, console);
        LinuxShell shell = await LinuxShell.OpenAsync(console, Limit, Cancellation);
        string text = string.Concat(Enumerable.Range(0, 1500).Select(i => $"{i},"));
        Assert.Equal(new ShellResult(0, text + "\n"), await shell.RunAsync($"echo '{text}'", Limit, Cancellation));
        Assert.Equal(new ShellResult(3, string.Concat(Enumerable.Range(1, 50_000).Select(i => $"{i}\n"))), await shell.RunAsync("seq 1 50000; (exit 3)", Limit, Cancellation));
    }

    [Theory]
    [MemberData(nameof(Shells))]
    public async Task Run_KernelMessagesInBetween_FindsItsMarks(string command)
    {
        foreach (int every in (int[])[1, 7])
        {
            var console = new MemoryConsole();
            using HostShell host = Start(command, console, every);
            LinuxShell shell = await LinuxShell.OpenAsync(console, Limit, Cancellation);
            ShellResult result = await shell.RunAsync("echo hello; (exit 42)", Limit, Cancellation);
            Assert.Equal(42, result.ExitStatus);
            Assert.Contains("[   12.345678]", result.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Run_OutputLongerThanTheConsoleKeeps_SaysSo()
    {
        var console = new MemoryConsole(capacity: 10_000);
        using HostShell host = Start("dash -i", console);
        LinuxShell shell = await LinuxShell.OpenAsync(console, Limit, Cancellation);
        ShellResult result = await shell.RunAsync("seq 1 50000; (exit 3)", Limit, Cancellation);
        Assert.True(result.IsTruncated);
        Assert.Equal(3, result.ExitStatus);
        Assert.EndsWith("49999\n50000\n", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_ShellEndsOrHangs_IsTold()
    {
        var console = new MemoryConsole();
        using HostShell host = Start("dash -i", console);
        LinuxShell shell = await LinuxShell.OpenAsync(console, Limit, Cancellation);
        await Assert.ThrowsAsync<ArgumentNullException>("command", () => shell.RunAsync(null!, Limit, Cancellation));
        await Assert.ThrowsAsync<ArgumentException>("command", () => shell.RunAsync("a\0b", Limit, Cancellation));
        GuestEndedException ended = await Assert.ThrowsAsync<GuestEndedException>(() => shell.RunAsync("echo bye; exit 9", Limit, Cancellation));
        Assert.Equal(9UL, ended.Exit!.Value.Code);
        Assert.Contains("bye", ended.Message, StringComparison.Ordinal);
        TimeoutException silent = await Assert.ThrowsAsync<TimeoutException>(() => LinuxShell.OpenAsync(new MemoryConsole(), TimeSpan.FromMilliseconds(10), Cancellation));
        Assert.Contains("No shell has answered", silent.Message, StringComparison.Ordinal);
    }

    private static HostShell Start(string command, MemoryConsole console, int kernelMessageEvery = 0)
    {
        Require.Program(command.Split(' ')[0], command.Split(' ')[0]);
        return new HostShell(Require.Program("script", "bsdutils"), command, console, kernelMessageEvery);
    }
}
