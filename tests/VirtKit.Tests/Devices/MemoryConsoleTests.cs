using System.Text;
using System.Text.RegularExpressions;
using VirtKit.Devices.Consoles;

namespace VirtKit.Tests.Devices;

public sealed class MemoryConsoleTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Output_Flooded_KeepsTheNewestAndCounts()
    {
        var console = new MemoryConsole(capacity: 1000);
        var model = new List<byte>();
        var random = new Random(3);
        for (int i = 0; i < 2000; i++)
        {
            byte[] bytes = new byte[random.Next(i % 100 == 0 ? 3000 : 40)];
            bytes.AsSpan().Fill((byte)('a' + i % 26));
            Assert.Equal(bytes.Length, console.Write(bytes));
            model.AddRange(bytes);
        }

        Assert.Equal(Encoding.ASCII.GetString([.. model.TakeLast(1000)]), console.Output);
        Assert.Equal(model.Count - 1000, console.Dropped);
        Assert.Equal(1000, console.TakeOutput().Length);
        Assert.Equal("", console.Output);
    }

    [Fact]
    public async Task Expect_TextInPieces_ConsumesUpToItsEnd()
    {
        var console = new MemoryConsole();
        Task<string> login = console.ExpectAsync("login: ", Limit, Cancellation);
        foreach (string piece in (string[])["boot\r\nlog", "in", ": ro", "ot"])
            console.Write(Encoding.ASCII.GetBytes(piece));
        Assert.Equal("boot\r\nlogin: ", await login);
        Assert.Equal("root", await console.ExpectAsync("root", Limit, Cancellation));
        // What was consumed does not match again, and still is output.
        await Assert.ThrowsAsync<TimeoutException>(() => console.ExpectAsync("root", TimeSpan.Zero, Cancellation));
        Assert.Equal("boot\r\nlogin: root", console.Output);
        Assert.True(console.WaitFor("login", Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public async Task Expect_Regex_GivesGroupsAndWhatCameBefore()
    {
        var console = new MemoryConsole();
        console.Write([.. "caf\u00e9 \U0001f600 "u8, 0xff, 0xe2, 0x82, .. " ip=10.0.0.7\nnext"u8]);
        ConsoleMatch match = await console.ExpectAsync(new Regex(@"ip=(?<ip>[\d.]+)\n"), Limit, Cancellation);
        Assert.Equal("10.0.0.7", match.Match.Groups["ip"].Value);
        Assert.StartsWith("caf\u00e9 \U0001f600 ", match.Before, StringComparison.Ordinal);
        // Exactly up to the end of the match, although the bytes before it are not all UTF-8.
        Assert.Equal("next", await console.ExpectAsync("next", TimeSpan.Zero, Cancellation));
    }

    [Fact]
    public async Task Expect_RandomBytesInRandomPieces_ConsumesTheRightNumber()
    {
        var random = new Random(5);
        for (int round = 0; round < 200; round++)
        {
            byte[] noise = new byte[random.Next(60)];
            random.NextBytes(noise);
            noise.AsSpan().Replace((byte)'#', (byte)'.');
            var console = new MemoryConsole();
            Task<ConsoleMatch> match = console.ExpectAsync(new Regex("#"), Limit, Cancellation);
            ReadOnlyMemory<byte> rest = (byte[])[.. noise, (byte)'#', (byte)'!'];
            while (!rest.IsEmpty)
            {
                int count = random.Next(1, rest.Length + 1);
                console.Write(rest[..count].Span);
                rest = rest[count..];
                await Task.Yield();
            }

            Assert.Equal(Encoding.UTF8.GetString(noise), (await match).Before);
            Assert.Equal("!", await console.ExpectAsync("!", TimeSpan.Zero, Cancellation));
        }
    }

    [Fact]
    public async Task Expect_NotInTime_ShowsTheLastLines()
    {
        var console = new MemoryConsole();
        console.Write("first\r\n\u001b[31mlast line\u0007\r\n"u8);
        TimeoutException error = await Assert.ThrowsAsync<TimeoutException>(() => console.ExpectAsync("prompt", TimeSpan.FromMilliseconds(20), Cancellation));
        Assert.Contains("\"prompt\" did not come within 0.02 s", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("first\n[31mlast line", error.Message, StringComparison.Ordinal);
        // A guest that never stops writing does not keep the time from passing.
        using var stop = new CancellationTokenSource();
        Task flood = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
                console.Write("noise "u8);
        }, Cancellation);
        await Assert.ThrowsAsync<TimeoutException>(() => console.ExpectAsync(new Regex("prompt"), TimeSpan.FromMilliseconds(50), Cancellation).WaitAsync(Limit, Cancellation));
        await stop.CancelAsync();
        await flood;
    }

    [Fact]
    public async Task Expect_GuestHasEnded_FailsAtOnceAfterALastLook()
    {
        var console = new MemoryConsole();
        var machine = new TaskCompletionSource<VcpuExit>();
        Task<VcpuExit> run = console.Follow(machine.Task);
        Task<string> waiting = console.ExpectAsync("never", Timeout.InfiniteTimeSpan, Cancellation);
        Task<bool> searching = Task.Run(() => console.WaitFor("never", Timeout.InfiniteTimeSpan), Cancellation);
        Task typing = console.SendLineAsync("nobody reads", Cancellation);
        console.Write("panic: no init\n"u8);
        machine.SetResult(new VcpuExit(ExitReason.Shutdown, 3));
        GuestEndedException error = await Assert.ThrowsAsync<GuestEndedException>(() => waiting.WaitAsync(Limit, Cancellation));
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 3), error.Exit);
        Assert.Contains("Shutdown, code 3", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("panic: no init", error.Message, StringComparison.Ordinal);
        Assert.False(await searching.WaitAsync(Limit, Cancellation));
        await Assert.ThrowsAsync<GuestEndedException>(() => typing.WaitAsync(Limit, Cancellation));
        Assert.Equal(ExitReason.Shutdown, (await run).Reason);
        // What the guest wrote before its end is still found.
        Assert.Equal("panic", await console.ExpectAsync("panic", Timeout.InfiniteTimeSpan, Cancellation));
        // A new run is followed in place of the old one.
        _ = console.Follow(new TaskCompletionSource<VcpuExit>().Task);
        await Assert.ThrowsAsync<TimeoutException>(() => console.ExpectAsync("never", TimeSpan.Zero, Cancellation));
        _ = console.Follow(Task.FromException<VcpuExit>(new VirtKitException("no engine")));
        error = await Assert.ThrowsAsync<GuestEndedException>(() => console.ExpectAsync("never", Limit, Cancellation));
        Assert.Equal("no engine", error.InnerException!.Message);
        Assert.Null(error.Exit);
    }

    [Fact]
    public async Task Expect_CancelledOrTwice_IsRefusedAndConsumesNothing()
    {
        var console = new MemoryConsole();
        using var stop = new CancellationTokenSource();
        Task<string> waiting = console.ExpectAsync("x", Timeout.InfiniteTimeSpan, stop.Token);
        await Assert.ThrowsAsync<InvalidOperationException>(() => console.ExpectAsync("y", Limit, Cancellation));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        console.Write("xy"u8);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => console.ExpectAsync("x", Limit, stop.Token));
        Assert.Equal("xy", await console.ExpectAsync("y", Limit, Cancellation));
    }

    [Fact]
    public async Task Expect_WhileTheGuestWaits_MakesRoom()
    {
        var console = new MemoryConsole(capacity: 8, ConsoleOverflow.Wait);
        int changes = 0;
        console.Changed += () => changes++;
        Assert.Equal(8, console.Write("abcdefghij"u8));
        Assert.Equal(0, console.Write("ij"u8));
        Assert.Equal("abcdef", await console.ExpectAsync("f", Limit, Cancellation));
        Assert.Equal(1, changes);
        Assert.Equal(2, console.Write("ij"u8));
        Assert.Equal("ghij", await console.ExpectAsync("j", Limit, Cancellation));
        Assert.Equal(0, console.Dropped);
    }

    [Fact]
    public async Task Expect_OutputTakenOrLostMeanwhile_StartsAgainAtWhatIsThere()
    {
        var console = new MemoryConsole(capacity: 16);
        Task<string> waiting = console.ExpectAsync("end", Limit, Cancellation);
        console.Write("12345678"u8);
        Assert.Equal(8, console.TakeOutput().Length);
        console.Write("0123456789abcdefghijklmnop en"u8);
        console.Write("d"u8);
        Assert.Equal("ghijklmnop end"[^14..], (await waiting)[^14..]);
    }

    [Fact]
    public async Task SendLine_GuestReads_CompletesWhenAllIsTaken()
    {
        var console = new MemoryConsole();
        Task sent = console.SendLineAsync("ls", Cancellation);
        byte[] got = new byte[2];
        Assert.Equal(2, console.Read(got));
        Assert.False(sent.IsCompleted);
        Assert.Equal("ls"u8, got);
        Assert.Equal(1, console.Read(got));
        Assert.Equal((byte)'\r', got[0]);
        await sent.WaitAsync(Limit, Cancellation);
    }
}
