using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.State;

#pragma warning disable xUnit1031
/// <summary>Faults that snapshots and recordings had: exits, exceptions and traps at the places where a run is cut.</summary>
public sealed class RecordingFaultTests
{
    /// <summary>Echoes what is typed, and counts.</summary>
    private const string Echo = """
            li s0, 0x80400000
            li s2, 0x10000000
            la t0, skip
            csrw stvec, t0
            j again
            .align 2
        skip:
            csrr t0, sepc
            addi t0, t0, 4
            csrw sepc, t0
            sret
        again:
            addi s1, s1, 1
            lbu t0, 5(s2)
            andi t0, t0, 1
            beqz t0, again
            lbu t1, 0(s2)
            sb t1, 0(s2)
            slli s4, s4, 5
            add s4, s4, t1
            add s4, s4, s1
            sd s4, 0(s0)
            j again
        """;

    /// <summary>Writes a letter now and then.</summary>
    private const string Chatter = """
            li s2, 0x10000000
        again:
            addi s1, s1, 1
            andi t0, s1, 255
            bnez t0, again
            li t1, 65
            sb t1, 0(s2)
            j again
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>"Nothing has changed", also not what was about to come in.</summary>
    [Fact]
    public void Replay_ThatIsRefused_KeepsWhatWasAnnounced()
    {
        using RiscVVirt recorded = Board(Echo, new MemoryConsole());
        recorded.Machine.StartRecording();
        recorded.Machine.Run(1000, Cancellation);
        using MachineRecording recording = recorded.Machine.StopRecording();
        using RiscVVirt board = Board(Echo, new MemoryConsole());
        int arrived = 0;
        var door = new Door();
        board.Machine.Memory.Map(new Gpa(0x1200_0000), door);
        MachineInput input = board.Machine.Clock.CreateInput(door, () => arrived++);
        input.Announce();
        Assert.Throws<InvalidSnapshotException>(() => board.Machine.Replay(recording));
        board.Machine.Run(1000, Cancellation);
        Assert.Equal(1, arrived);
    }

    /// <summary>A backend that throws stops the machine once; the host goes on, and the run can be repeated.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Replay_OfARunWhoseConsoleThrew_IsTheSame(bool reads)
    {
        var console = new FaultyConsole();
        using RiscVVirt board = Board(Echo, console), repeated = Board(Echo, new FaultyConsole());
        board.Machine.StartRecording();
        board.Machine.Run(1000, Cancellation);
        console.Inner.Type("abc");
        board.Machine.Run(1000, Cancellation);
        (console.FailsRead, console.FailsWrite) = (reads, !reads);
        console.Inner.Type("def");
        Assert.Equal(ExitReason.InternalError, board.Machine.Run(1000, Cancellation).Reason);
        board.Machine.Run(1000, Cancellation);
        console.Inner.Type("ghi");
        board.Machine.Run(1000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        repeated.Machine.Replay(recording);
        VcpuExit exit = default;
        for (int i = 0; i < 4 && exit.Reason != ExitReason.ReplayEnded; i++)
            exit = repeated.Machine.Run(Cancellation);
        Assert.Equal(ExitReason.ReplayEnded, exit.Reason);
        Assert.Equal(board.Machine.Vcpus[0].GetState<RiscVState>().X[20], repeated.Machine.Vcpus[0].GetState<RiscVState>().X[20]);
    }

    /// <summary>As above, with a handler of hypercalls.</summary>
    [Fact]
    public void Replay_OfARunWhoseHypercallHandlerThrew_IsTheSame()
    {
        Random random = Seed.Random();
        using var board = new RecordingBoard("interpreter");
        using var repeated = new RecordingBoard("interpreter", loads: false);
        var handler = new FaultyHandler(new RecordingBoard.Answers(random));
        board.Machine.Hypercalls = handler;
        board.Machine.StartRecording();
        board.Machine.Run(500_000, Cancellation);
        handler.Fails = true;
        Assert.Equal(ExitReason.InternalError, board.Machine.Run(500_000, Cancellation).Reason);
        board.Machine.Run(500_000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        repeated.Machine.Replay(recording);
        VcpuExit exit = default;
        for (int i = 0; i < 4 && exit.Reason != ExitReason.ReplayEnded; i++)
            exit = repeated.Machine.Run(Cancellation);
        Assert.Equal(ExitReason.ReplayEnded, exit.Reason);
    }

    /// <summary>"The outside is not needed": one that throws does not make the run another one.</summary>
    [Fact]
    public void Replay_ToAConsoleThatThrows_IsTheSameRun()
    {
        using RiscVVirt board = Board(Chatter, new MemoryConsole());
        board.Machine.StartRecording();
        board.Machine.Run(10_000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        var console = new FaultyConsole { FailsWrite = true };
        using RiscVVirt repeated = Board(Chatter, console);
        repeated.Machine.Replay(recording);
        VcpuExit exit = default;
        for (int i = 0; i < 4 && exit.Reason != ExitReason.ReplayEnded; i++)
            exit = repeated.Machine.Run(Cancellation);
        Assert.Equal(ExitReason.ReplayEnded, exit.Reason);
    }

    /// <summary>A console that nobody empties.</summary>
    [Fact]
    public void Replay_ToAConsoleThatIsFull_EndsInTime()
    {
        using RiscVVirt board = Board(Chatter, new MemoryConsole());
        board.Machine.StartRecording();
        board.Machine.Run(30_000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        using RiscVVirt repeated = Board(Chatter, new MemoryConsole(16, ConsoleOverflow.Wait));
        repeated.Machine.Replay(recording);
        long start = Environment.TickCount64;
        Assert.Equal(ExitReason.ReplayEnded, repeated.Machine.Run(Cancellation).Reason);
        Assert.InRange(Environment.TickCount64 - start, 0, 5_000);
    }

    /// <summary>A file of changes that nothing could read.</summary>
    [Fact]
    public async Task SaveRecording_Since_CanBeLoadedOrIsRefused()
    {
        using RiscVVirt board = Board(Echo, new MemoryConsole());
        using MachineSnapshot first = board.Machine.Capture();
        board.Machine.StartRecording();
        board.Machine.Run(1000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        using var stream = new MemoryStream();
        try
        {
            await recording.SaveAsync(stream, new SnapshotOptions { Since = first }, cancellationToken: Cancellation);
        }
        catch (ArgumentException)
        {
            return;
        }

        stream.Position = 0;
        (await MachineRecording.LoadAsync(stream, Cancellation)).Dispose();
    }

    /// <summary>An exit that waited at the beginning is one of the recorded run's, which GoTo passes over.</summary>
    [Fact]
    public void GoTo_BehindAnExitAtTheBeginning_GoesThere()
    {
        using RiscVVirt board = Board(Echo, new MemoryConsole());
        board.Machine.Run(100, Cancellation);
        board.Machine.RequestShutdown(3);
        board.Machine.StartRecording();
        Assert.Equal(ExitReason.Shutdown, board.Machine.Run(1000, Cancellation).Reason);
        board.Machine.Run(1000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        board.Machine.Replay(recording);
        Assert.Equal(ExitReason.BudgetExhausted, board.Machine.GoTo(600, Cancellation).Reason);
        Assert.Equal(600u, board.Machine.Retired);
    }

    /// <summary>What waits in a console of the recorded machine is not the other one's concern.</summary>
    [Fact]
    public void Replay_OnABoardWhoseConsoleKeepsNothing_IsTheRun()
    {
        var console = new MemoryConsole();
        using RiscVVirt board = Board(Echo, console), repeated = Board(Echo, new FaultyConsole()), null_ = Board(Echo, new NullConsole());
        board.Machine.StartRecording();
        board.Machine.Run(1000, Cancellation);
        console.Type("abc");
        board.Machine.Run(1000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        foreach (RiscVVirt other in (RiscVVirt[])[repeated, null_])
        {
            other.Machine.Replay(recording);
            Assert.Equal(ExitReason.ReplayEnded, other.Machine.Run(Cancellation).Reason);
        }
    }

    /// <summary>A device that looks at a vCPU while it is saved can do so in every capture.</summary>
    [Fact]
    public void Replay_OfADeviceThatAsksTheMachineWhileItIsSaved_IsPossible()
    {
        using RiscVVirt board = Board(Echo, new MemoryConsole());
        ulong retired = 0;
        board.Machine.Memory.Map(new Gpa(0x1200_0000), new Door { OnVisit = _ => retired = board.Machine.Retired });
        board.Machine.Capture().Dispose();
        board.Machine.StartRecording();
        board.Machine.Run(1000, Cancellation);
        using MachineRecording recording = board.Machine.StopRecording();
        board.Machine.Replay(recording);
        Assert.Equal(ExitReason.ReplayEnded, board.Machine.Run(Cancellation).Reason);
        Assert.Equal(0u, retired);
    }

    /// <summary>A place behind an instruction is one place, however it was come to.</summary>
    [Fact]
    public void GoTo_TheSameInstruction_IsTheSamePlace()
    {
        // Sleeps for ever; a device's timer goes on.
        using RiscVVirt board = Board("again: wfi\nj again\n", new MemoryConsole()), repeated = Board("again: wfi\nj again\n", new MemoryConsole());
        using var stop = new CancellationTokenSource();
        Ticker ticker = new(board.Machine.Clock, stop), other = new(repeated.Machine.Clock, stop);
        board.Machine.Memory.Map(new Gpa(0x1200_0000), ticker);
        repeated.Machine.Memory.Map(new Gpa(0x1200_0000), other);
        ticker.Start(stopsAt: 1000);
        board.Machine.StartRecording();
        board.Machine.Run(stop.Token);
        Assert.Equal(1000, ticker.Count);
        ulong end = board.Machine.Retired;
        using MachineRecording recording = board.Machine.StopRecording();
        using var stopSecond = new CancellationTokenSource();
        repeated.Machine.Replay(recording);
        repeated.Machine.GoTo(end, Cancellation);
        int direct = other.Count;
        other.Stop = stopSecond;
        other.StopsAt = direct + 50;
        repeated.Machine.Run(stopSecond.Token);
        Assert.Equal(direct + 50, other.Count);
        repeated.Machine.GoTo(end, Cancellation);
        Assert.Equal(direct, other.Count);
    }

    /// <summary>A guest that crashes is what one records for.</summary>
    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public void Replay_OfAGuestThatCrashed_EndsWhereItDid(string engine)
    {
        const string Crashing = """
                li s1, 500
            again:
                addi s1, s1, -1
                bnez s1, again
                csrw stvec, zero
                .word 0
            """;
        using RiscVVirt board = Board(Crashing, new MemoryConsole(), engine), other = Board(Crashing, new MemoryConsole());
        board.Machine.StartRecording();
        Assert.Equal(ExitReason.Fault, board.Machine.Run(Cancellation).Reason);
        using MachineRecording recording = board.Machine.StopRecording();
        other.Machine.Replay(recording);
        VcpuExit exit = other.Machine.Run(Cancellation);
        if (exit.Reason == ExitReason.Fault)
            exit = other.Machine.Run(Cancellation);
        Assert.Equal(ExitReason.ReplayEnded, exit.Reason);
    }

    /// <summary>A trap retires nothing: what comes in between it and its handler's first instruction, and a recording that ends there, is behind it.</summary>
    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public void Replay_OfAGuestThatTrapsAllTheTime_IsTheSame(string engine)
    {
        const string Trapping = """
                la t0, handler
                csrw stvec, t0
                li s2, 0x10000000
            again:
                addi s1, s1, 1
                ebreak
                j again
                .align 2
            handler:
                lbu t0, 5(s2)
                andi t0, t0, 1
                beqz t0, none
                lbu t1, 0(s2)
                add s4, s4, s1
            none:
                csrr t0, sepc
                addi t0, t0, 4
                csrw sepc, t0
                sret
            """;
        int different = 0;
        string first = "";
        for (int round = 0; round < 20; round++)
        {
            var console = new MemoryConsole();
            using RiscVVirt board = Board(Trapping, console, engine), other = Board(Trapping, new MemoryConsole(), engine);
            using var stop = new CancellationTokenSource();
            Task<VcpuExit> run = board.Machine.RunAsync(stop.Token);
            Thread.Sleep(2);
            board.Machine.StartRecording();
            for (int i = 0; i < 20; i++)
            {
                console.Type("x");
                Thread.SpinWait(20_000);
            }

            using MachineRecording recording = board.Machine.StopRecording();
            stop.Cancel();
            run.Wait(Cancellation);
            try
            {
                other.Machine.Replay(recording);
                Assert.Equal(ExitReason.ReplayEnded, other.Machine.Run(Cancellation).Reason);
            }
            catch (ReplayMismatchException e)
            {
                different++;
                first += e.Message;
            }
        }

        Assert.True(different == 0, $"{different} of 20: {first}");
    }

    internal static RiscVVirt Board(string program, IConsoleBackend console, string engine = "interpreter", int vcpus = 1, IdleTime idle = IdleTime.Skipped, HaltPolicy halted = HaltPolicy.Wait)
    {
        var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions
            {
                Architecture = new RiscVArchitecture { Sbi = new SbiOptions { Hypercalls = true } }, Engine = RiscVEngines.Create(engine), VcpuCount = vcpus, WhenHalted = halted, IdleTime = idle,
            },
            Console = console,
            MemorySize = 16 << 20,
        });
        board.Machine.Memory.Write(RiscVVirt.KernelAddress, RiscVAssembler.Assemble(program, RiscVVirt.KernelAddress.Value));
        board.BootSupervisor(RiscVVirt.KernelAddress);
        return board;
    }

    /// <summary>A device without registers.</summary>
    private sealed class Door : IDevice, ISnapshotable
    {
        public Action<StateVisitor>? OnVisit { get; init; }

        public DeviceWindow Window => new("door", 4, AccessWidths.Word);

        public ulong Read(ulong offset, int size) => 0;

        public void Write(ulong offset, int size, ulong value) { }

        public void Reset() { }

        public void Visit(StateVisitor visitor)
        {
            visitor.Version(1);
            OnVisit?.Invoke(visitor);
        }
    }

    private sealed class Ticker : IDevice, ISnapshotable
    {
        private readonly MachineClock _clock;
        private readonly ClockTimer _timer;
        private int _count;

        public Ticker(MachineClock clock, CancellationTokenSource stop)
        {
            (_clock, Stop) = (clock, stop);
            _timer = clock.CreateTimer(this, () =>
            {
                if (++_count == StopsAt)
                    Stop.Cancel();
                _timer!.Set(_clock.After(1000));
            });
        }

        public CancellationTokenSource Stop { get; set; }

        public int StopsAt { get; set; }

        public int Count => _count;

        public DeviceWindow Window => new("ticker", 4, AccessWidths.Word);

        public void Start(int stopsAt)
        {
            StopsAt = stopsAt;
            _timer.Set(1000);
        }

        public ulong Read(ulong offset, int size) => 0;

        public void Write(ulong offset, int size, ulong value) { }

        public void Reset() { }

        public void Visit(StateVisitor visitor)
        {
            visitor.Version(1);
            visitor.Field("count", ref _count);
        }
    }

    /// <summary>Keeps no state, and throws when it is told to.</summary>
    internal sealed class FaultyConsole : IConsoleBackend
    {
        public MemoryConsole Inner { get; } = new();

        public bool FailsRead { get; set; }

        public bool FailsWrite { get; set; }

        public ConsoleSize Size => Inner.Size;

        public event Action? Changed
        {
            add => Inner.Changed += value;
            remove => Inner.Changed -= value;
        }

        public int Write(ReadOnlySpan<byte> bytes)
        {
            if (!FailsWrite)
                return Inner.Write(bytes);
            FailsWrite = false;
            throw new IOException("The console is gone.");
        }

        public int Read(Span<byte> buffer)
        {
            if (!FailsRead)
                return Inner.Read(buffer);
            FailsRead = false;
            throw new IOException("The console is gone.");
        }
    }

    private sealed class FaultyHandler(IHypercallHandler inner) : IHypercallHandler
    {
        public bool Fails { get; set; }

        public bool TryAnswer(int vcpu, Hypercall call, out ulong result)
        {
            if (!Fails)
                return inner.TryAnswer(vcpu, call, out result);
            Fails = false;
            throw new InvalidOperationException("no answer");
        }
    }
}
