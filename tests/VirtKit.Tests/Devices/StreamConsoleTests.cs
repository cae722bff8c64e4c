using System.IO.Pipes;
using VirtKit.Devices;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;
using Encoding = System.Text.Encoding;

namespace VirtKit.Tests.Devices;

public sealed class StreamConsoleTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    public static TheoryData<string> Errors => ["InvalidDataException", "NotSupportedException", "ObjectDisposedException", "IOException", "InsufficientMemoryException"];

    [Fact]
    public void Output_ManyWriters_ReachesTheStreamInOrderAndWhole()
    {
        using var stream = new MemoryStream();
        using (var console = new StreamConsole(null, stream, outputCapacity: 100))
        {
            for (int i = 0; i < 2000; i++)
            {
                ReadOnlySpan<byte> line = Encoding.ASCII.GetBytes($"{i}\n");
                while (!line.IsEmpty)
                    line = line[console.Write(line)..];
            }

            Assert.Equal(0, console.Dropped);
        }

        Assert.Equal(string.Concat(Enumerable.Range(0, 2000).Select(i => $"{i}\n")), Encoding.ASCII.GetString(stream.ToArray()));
    }

    [Fact]
    public void Output_StreamStandsStill_HoldsBackAndGoesOnWithoutLoss()
    {
        using var stream = new StalledStream();
        using var console = new StreamConsole(null, stream, outputCapacity: 64);
        int changes = 0;
        console.Changed += () => Interlocked.Increment(ref changes);
        byte[] sent = new byte[400];
        new Random(1).NextBytes(sent);
        int taken = console.Write(sent.AsSpan(0, 1)), rejected = 0;
        Assert.True(SpinWait.SpinUntil(() => stream.IsEntered, Limit));
        while (rejected < 1000)
        {
            int count = console.Write(sent.AsSpan(taken, Math.Min(16, sent.Length - taken)));
            taken += count;
            rejected += count == 0 ? 1 : 0;
        }

        // The buffer, and the byte that the stream was given.
        Assert.Equal(65, taken);
        Assert.Equal(0, Volatile.Read(ref changes));
        Assert.False(console.Flush(TimeSpan.FromMilliseconds(1)));
        stream.Resume();
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref changes) > 0, Limit));
        while (taken < sent.Length)
            taken += console.Write(sent.AsSpan(taken));
        Assert.True(console.Flush(Limit));
        Assert.Equal(sent, stream.Written);
    }

    [Fact]
    public void Output_DropOldest_KeepsTheNewestAndCounts()
    {
        using var stream = new StalledStream();
        using var console = new StreamConsole(null, stream, outputCapacity: 8, ConsoleOverflow.DropOldest);
        Assert.Equal(1, console.Write("!"u8));
        Assert.True(SpinWait.SpinUntil(() => stream.IsEntered, Limit));
        Assert.Equal(6, console.Write("abcdef"u8));
        Assert.Equal(4, console.Write("ghij"u8));
        Assert.Equal(2, console.Dropped);
        Assert.Equal(12, console.Write("0123456789AB"u8));
        Assert.Equal(14, console.Dropped);
        stream.Resume();
        Assert.True(console.Flush(Limit));
        Assert.Equal("!456789AB"u8, stream.Written);
    }

    [Fact]
    public async Task Dispose_StreamStandsStill_GivesUp()
    {
        using var stream = new StalledStream();
        var console = new StreamConsole(null, stream);
        console.Write("abc"u8);
        Assert.True(SpinWait.SpinUntil(() => stream.IsEntered, Limit));
        console.Write("lost"u8);
        await Task.Run(console.Dispose, TestContext.Current.CancellationToken).WaitAsync(Limit, TestContext.Current.CancellationToken);
        Assert.Equal(4, console.Dropped);
        Assert.Equal(5, console.Write("after"u8));
        console.Dispose();
    }

    [Theory]
    [MemberData(nameof(Errors))]
    public void Streams_ThrowAnything_AreClosedAndTell(string error)
    {
        foreach (string which in (string[])["read", "write", "flush"])
        {
            using var failing = new FailingStream(() => Create(error), onFlush: which == "flush");
            using var other = new MemoryStream();
            using StreamConsole console = which == "read" ? new(failing, other) : new(null, failing);
            using var failed = new ManualResetEventSlim();
            console.Failed += _ =>
            {
                failed.Set();
                throw new InvalidOperationException("the handler's own");
            };
            if (which == "read" && !SpinWait.SpinUntil(() => console.Failure is not null, Limit))
                Assert.Fail("The failure is not told.");
            console.Write("abc"u8);
            if (which != "read")
                Assert.True(failed.Wait(Limit, TestContext.Current.CancellationToken));
            Assert.Equal(error, console.Failure!.GetType().Name);
            Assert.True(console.Flush(Limit));
            // The guest goes on, whichever way is closed.
            Assert.Equal(3, console.Write("def"u8));
            Assert.Equal(which == "read" ? 0 : 6, SpinUntilStable(() => console.Dropped));
            Assert.Equal(0, console.Read(new byte[4]));
        }
    }

    [Fact]
    public void Changed_HandlerThrows_OthersAreCalledAndInputGoesOn()
    {
        using var keys = new AnonymousPipeServerStream(PipeDirection.Out);
        using var input = new AnonymousPipeClientStream(PipeDirection.In, keys.ClientSafePipeHandle);
        using var console = new StreamConsole(input, Stream.Null);
        int calls = 0;
        console.Changed += () => throw new InvalidOperationException("handler");
        console.Changed += () => Interlocked.Increment(ref calls);
        byte[] got = new byte[8];
        for (int i = 1; i <= 3; i++)
        {
            keys.Write("k"u8);
            int round = i;
            Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref calls) >= round && console.Read(got) == 1, Limit));
        }

        Assert.Equal("handler", console.Failure!.Message);
        console.Resize(new ConsoleSize(80, 25));
        keys.Dispose();
    }

    /// <summary>A stream that acts on what it reads must be read although the guest takes nothing: Ctrl-A x where the guest hangs.</summary>
    [Fact]
    public void Input_GuestReadsNothing_StreamIsStillRead()
    {
        using var keys = new AnonymousPipeServerStream(PipeDirection.Out);
        using var input = new AnonymousPipeClientStream(PipeDirection.In, keys.ClientSafePipeHandle);
        using var left = new ManualResetEventSlim();
        using var escape = new VirtKit.Samples.BootLinux.Terminal.EscapeStream(input, left.Set);
        using var console = new StreamConsole(escape, Stream.Null);
        byte[] got = new byte[1];
        for (int i = 0; i < 20; i++)
        {
            keys.Write("k"u8);
            // One by one, as they are typed.
            Assert.Equal(0, console.Read(default(Span<byte>)));
        }

        keys.Write([1, (byte)'x']);
        Assert.True(left.Wait(Limit, TestContext.Current.CancellationToken));
        keys.Dispose();
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Machine_FloodsAPipeThatNobodyReads_IsCancelledAndDisposed(string engine)
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var console = new StreamConsole(null, pipe);
        foreach (VcpuScheduling scheduling in Enum.GetValues<VcpuScheduling>())
        {
            RiscVVirt board = Build(engine, console, scheduling, Flood);
            using var stop = new CancellationTokenSource();
            Task<VcpuExit> run = board.Machine.RunAsync(stop.Token);
            Assert.True(SpinWait.SpinUntil(() => console.Write(default) == 0 && !console.Flush(TimeSpan.Zero), Limit));
            await stop.CancelAsync();
            Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Limit, TestContext.Current.CancellationToken)).Reason);
            await Task.Run(board.Dispose, TestContext.Current.CancellationToken).WaitAsync(Limit, TestContext.Current.CancellationToken);
        }

        await Task.Run(console.Dispose, TestContext.Current.CancellationToken).WaitAsync(Limit, TestContext.Current.CancellationToken);
        pipe.DisposeLocalCopyOfClientHandle();
    }

    /// <summary>A guest that looks at THRE loses nothing on a stream that stands still at first and then takes all.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Machine_PollsTheSerialPort_LosesNothing(string engine)
    {
        using var stream = new StalledStream();
        using var console = new StreamConsole(null, stream, outputCapacity: 256);
        using RiscVVirt board = Build(engine, console, VcpuScheduling.Deterministic, Polling);
        Task<VcpuExit> run = board.Machine.RunAsync(TestContext.Current.CancellationToken);
        Assert.True(SpinWait.SpinUntil(() => stream.IsEntered, Limit));
        stream.Resume();
        Assert.Equal(ExitReason.Shutdown, (await run.WaitAsync(Limit, TestContext.Current.CancellationToken)).Reason);
        Assert.True(console.Flush(Limit));
        Assert.Equal(Enumerable.Range(0, 2048).Select(i => (byte)i), stream.Written);
    }

    private static RiscVVirt Build(string engine, StreamConsole console, VcpuScheduling scheduling, ReadOnlySpan<uint> program)
    {
        var board = new RiscVVirt(new RiscVVirtOptions
        {
            Console = console,
            Machine = new MachineOptions { Architecture = new RiscVArchitecture(), Engine = RiscVEngines.Create(engine), Scheduling = scheduling },
        });
        board.LoadFirmware(System.Runtime.InteropServices.MemoryMarshal.AsBytes(program));
        board.BootFirmware(RiscVVirt.FirmwareAddress);
        return board;
    }

    /// <summary>lui t0, 0x10000; sb a0, 0(t0); j .-4</summary>
    private static ReadOnlySpan<uint> Flood => [0x1000_02b7, 0x00a2_8023, 0xffdf_f06f];

    /// <summary>lui t0, 0x10000; li a0, 0; lui a1, 1; srli a1, a1, 1; lbu t1, 5(t0); andi t1, t1, 0x20; beqz t1, .-8; sb a0, 0(t0); addi a0, a0, 1;
    /// bltu a0, a1, .-20; lui t0, 0x100; lui t1, 5; addi t1, t1, 0x555; sw t1, 0(t0)</summary>
    private static ReadOnlySpan<uint> Polling =>
    [
        0x1000_02b7, 0x0000_0513, 0x0000_15b7, 0x0015_d593, 0x0052_c303, 0x0203_7313, 0xfe03_0ce3, 0x00a2_8023, 0x0015_0513,
        0xfeb5_66e3, 0x0010_02b7, 0x0000_5337, 0x5553_0313, 0x0062_a023, 0x0000_006f,
    ];

    private static long SpinUntilStable(Func<long> value)
    {
        long last = value();
        SpinWait.SpinUntil(() => Interlocked.Exchange(ref last, value()) == last, Limit);
        return value();
    }

    private static Exception Create(string name) => name switch
    {
        "InvalidDataException" => new InvalidDataException(name),
        "NotSupportedException" => new NotSupportedException(name),
        "ObjectDisposedException" => new ObjectDisposedException(name),
        "InsufficientMemoryException" => new InsufficientMemoryException(name),
        _ => new IOException(name),
    };
}
