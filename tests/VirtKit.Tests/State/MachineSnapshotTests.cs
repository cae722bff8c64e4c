using System.IO.Compression;
using VirtKit.Devices;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using static VirtKit.Tests.State.SnapshotBoard;

namespace VirtKit.Tests.State;

/// <summary>A machine's whole state as a value: captured, restored and forked.</summary>
public sealed class MachineSnapshotTests
{
    public static TheoryData<string> Engines => [.. RiscVEngines.All];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Restore_OnAnyEngine_GoesOnAsTheMachineThatWasCaptured(string engine)
    {
        using RiscVVirt whole = Board(engine);
        whole.Machine.Run(2_000_000, Cancellation);
        string expected = Describe(whole);
        foreach (string other in RiscVEngines.All)
        {
            using RiscVVirt first = Board(engine), second = Board(other, loads: false);
            first.Machine.Run(1_234_567, Cancellation);
            using MachineSnapshot snapshot = first.Machine.Capture();
            // What was there goes; what the first one does meanwhile stays its own.
            second.Machine.Memory.Write(new Gpa(0x8030_0000), [1, 2, 3]);
            first.Machine.Run(1_000_000, Cancellation);
            second.Machine.Restore(snapshot);
            second.Machine.Run(2_000_000 - 1_234_567, Cancellation);
            Assert.Equal(expected, Describe(second));
            // Once more, after it has gone on.
            second.Machine.Restore(snapshot);
            snapshot.Dispose();
            second.Machine.Run(2_000_000 - 1_234_567, Cancellation);
            Assert.Equal(expected, Describe(second));
        }
    }

    /// <summary>Between two instructions of a run under way, from other threads: the run comes to the same end.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Capture_WhileTheMachineRuns_IsNotSeenByIt(string engine)
    {
        const ulong Length = 20_000_000;
        using RiscVVirt whole = Board(engine);
        whole.Machine.Run(Length, Cancellation);
        using RiscVVirt board = Board(engine);
        Task<VcpuExit> run = Task.Run(() => board.Machine.Run(Length, Cancellation), Cancellation);
        List<MachineSnapshot> snapshots = [];
        Assert.True(SpinWait.SpinUntil(() => board.Machine.Vcpus[0].Counters.Retired > 0, Hang.Limit));
        while (!run.IsCompleted)
            snapshots.Add(board.Machine.Capture());
        Assert.Equal(ExitReason.BudgetExhausted, (await run).Reason);
        Assert.Equal(Describe(whole), Describe(board));
        foreach (MachineSnapshot snapshot in snapshots.Take(5))
        {
            using RiscVVirt fork = Board(engine, loads: false);
            fork.Machine.Restore(snapshot);
            ulong retired = fork.Machine.Vcpus[0].Counters.Retired;
            fork.Machine.Run(Length - retired, Cancellation);
            Assert.Equal(Describe(whole), Describe(fork));
        }

        snapshots.ForEach(snapshot => snapshot.Dispose());
    }

    /// <summary>What the guest has asked of its host is asked by each machine that goes on from there.</summary>
    [Fact]
    public void Restore_WithExitsThatTheHostWasNotGiven_GivesThem()
    {
        var exit = new VcpuExit(ExitReason.Fault, 2, "it said so") { FirstTrap = new GuestTrap(5, new Gva(0x8000_0010), 7, "load access fault") };
        using RiscVVirt origin = Board("interpreter"), fork = Board("interpreter", loads: false);
        origin.Machine.Stop(origin.Machine.Vcpus[0], exit);
        origin.Machine.RequestShutdown(5);
        using MachineSnapshot snapshot = origin.Machine.Capture();
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 5), origin.Machine.Run(1000, Cancellation));
        fork.Machine.RequestShutdown(6);
        fork.Machine.Restore(snapshot);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 5), fork.Machine.Run(1000, Cancellation));
        Assert.Equal(exit, fork.Machine.Run(1000, Cancellation));
        Assert.Equal(ExitReason.BudgetExhausted, fork.Machine.Run(1000, Cancellation).Reason);
        using MachineSnapshot without = fork.Machine.Capture();
        fork.Machine.RequestShutdown(6);
        fork.Machine.Restore(without);
        Assert.Equal(ExitReason.BudgetExhausted, fork.Machine.Run(1000, Cancellation).Reason);
    }

    [Fact]
    public void Forks_OfOneSnapshot_ShareNothingThatIsWritten()
    {
        using RiscVVirt origin = Board("interpreter");
        origin.Machine.Run(500_000, Cancellation);
        RiscVVirt[] forks = [.. Enumerable.Range(0, 40).Select(_ => Board("interpreter", loads: false))];
        using (MachineSnapshot snapshot = origin.Machine.Capture())
        {
            foreach (RiscVVirt fork in forks)
                fork.Machine.Restore(snapshot);
        }

        for (int i = 0; i < forks.Length; i++)
            forks[i].Machine.Run((ulong)(10_000 * (i % 4)), Cancellation);
        string[] ends = [.. forks.Select(Describe)];
        Assert.Equal(Describe(origin), ends[0]);
        Assert.Equal(4, ends.Distinct().Count());
        Assert.All(Enumerable.Range(0, forks.Length), i => Assert.Equal(ends[i % 4], ends[i]));
        // A fork of a fork has the pages of both.
        using MachineSnapshot again = forks[3].Machine.Capture();
        forks[0].Machine.Restore(again);
        Assert.Equal(ends[3], Describe(forks[0]));
        foreach (RiscVVirt fork in forks)
            fork.Dispose();
    }

    /// <summary>Captured again and again while its vCPUs run on threads, in the host's time; what is captured goes on.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Capture_WhileVcpusRunOnThreads_IsWhole(string engine)
    {
        using var m = new BareMachine(engine, "again: addi s0, s0, 1\nadd s1, s1, s0\nsd s0, 0(a1)\nsd s1, 8(a1)\nj again", vcpus: 3, scheduling: VcpuScheduling.Threads);
        foreach (Vcpu vcpu in m.Machine.Vcpus)
        {
            RiscVState state = vcpu.GetState<RiscVState>();
            (state.Started, state.X[11]) = (true, BareMachine.Ram + 0x1000 * (ulong)(1 + vcpu.Index));
            vcpu.SetState(state);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task<VcpuExit> run = m.Machine.RunAsync(stop.Token);
        using var other = new BareMachine(engine, "nop", vcpus: 3, scheduling: VcpuScheduling.Threads);
        for (int i = 0; i < 30; i++)
        {
            using MachineSnapshot snapshot = m.Machine.Capture();
            other.Machine.Restore(snapshot);
            foreach (Vcpu vcpu in other.Machine.Vcpus)
            {
                // The sum of the numbers so far, up to one instruction; memory has it too, up to a round.
                RiscVState state = vcpu.GetState<RiscVState>();
                ulong n = state.X[8], sum = state.X[9], stored = other.Read(state.X[11]);
                Assert.True(sum == n * (n + 1) / 2 || sum == n * (n - 1) / 2, $"{n}: {sum}");
                Assert.InRange(stored, n == 0 ? 0 : n - 1, n);
            }
        }

        await stop.CancelAsync();
        Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Hang.Limit, Cancellation)).Reason);
    }

    /// <summary>A guest that lives by a timer of 20 µs, in the host's time: no capture loses the timer that is under way.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Capture_WhileTimersFire_LosesNone(string engine)
    {
        const string source = """
            again:
                addi s0, s0, 1
                csrr a0, time
                addi a0, a0, 200
                li a7, 0x54494d45
                li a6, 0
                ecall
                wfi
                j again
            """;
        using var m = new BareMachine(engine, source, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads);
        m.State = m.State with { Mcounteren = 7, Mideleg = 0x222, Mie = 0x20 };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task<VcpuExit> run = m.Machine.RunAsync(stop.Token);
        List<MachineSnapshot> snapshots = [];
        for (int i = 0; i < 100; i++)
        {
            Thread.SpinWait(i * 1000);
            snapshots.Add(m.Machine.Capture());
        }

        await stop.CancelAsync();
        VcpuExit exit = await run.WaitAsync(Hang.Limit, Cancellation);
        Assert.True(exit.Reason == ExitReason.Kicked && m.State.X[8] > 0, $"{exit}, {m.State.X[8]}");
        using var other = new BareMachine(engine, source, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads);
        foreach (MachineSnapshot snapshot in snapshots)
        {
            other.Machine.Restore(snapshot);
            snapshot.Dispose();
            ulong before = other.State.X[8];
            // It goes on at once, or never.
            for (int turns = 0; turns < 200 && other.State.X[8] <= before + 3; turns++)
            {
                using var limit = new CancellationTokenSource(5);
                await other.Machine.RunAsync(limit.Token).WaitAsync(Hang.Limit, Cancellation);
            }

            Assert.True(other.State.X[8] > before + 3, $"{before} became {other.State.X[8]}");
        }
    }

    public static TheoryData<string, string> Others => new()
    {
        { "vcpus", "1 vCPUs, and the machine 2" },
        { "memory", "RAM at 0x80000000" },
        { "extensions", "the machine is riscv64 rv64imafdc" },
        { "device", "they have other devices" },
        { "firmware", "firmware" },
    };

    [Theory]
    [MemberData(nameof(Others))]
    public void Restore_IntoAnotherMachine_SaysWhatDiffersAndChangesNothing(string other, string reason)
    {
        using RiscVVirt board = Board("interpreter");
        board.Machine.Run(10_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        var options = new RiscVVirtOptions { MemorySize = other == "memory" ? 32UL << 20 : 16 << 20, Devices = other == "device" ? [new BoardDevice(slot => new GoldfishRtc(slot.Machine.Clock, slot.TakeInterrupt()))] : [] };
        using var target = new RiscVVirt(options with
        {
            Machine = new MachineOptions
            {
                Engine = RiscVEngines.Create("interpreter"),
                VcpuCount = other == "vcpus" ? 2 : 1,
                Architecture = new RiscVArchitecture { Sbi = other == "firmware" ? null : new SbiOptions(), Isa = other == "extensions" ? "rv64imafdc_zicsr_zifencei" : RiscVArchitecture.FullIsa },
            },
        });
        target.Machine.Memory.Write(new Gpa(0x8000_0000), [1, 2, 3, 4]);
        Assert.Contains(reason, Assert.Throws<InvalidSnapshotException>(() => target.Machine.Restore(snapshot)).Message, StringComparison.Ordinal);
        byte[] bytes = new byte[4];
        target.Machine.Memory.Read(new Gpa(0x8000_0000), bytes);
        Assert.Equal([1, 2, 3, 4], bytes);
    }

    [Fact]
    public void Capture_InACallbackOrOfSomethingThatCannotBeSaved_IsRefused()
    {
        using RiscVVirt board = Board("interpreter");
        Exception? error = null;
        using ClockTimer timer = board.Machine.Clock.CreateTimer(new object(), () => error = Record.Exception(board.Machine.Capture));
        timer.Set(board.Machine.Clock.Now + 1000);
        board.Machine.Run(10_000, Cancellation);
        Assert.Contains("callback", Assert.IsType<InvalidOperationException>(error).Message, StringComparison.Ordinal);
        board.Machine.Memory.Map(new Gpa(0x5000_0000), new FakeDevice());
        Assert.Contains("cannot be saved", Assert.Throws<VirtKitException>(board.Machine.Capture).Message, StringComparison.Ordinal);
        MachineSnapshot snapshot = Board("interpreter").Machine.Capture();
        snapshot.Dispose();
        Assert.Throws<ObjectDisposedException>(() => board.Machine.Restore(snapshot));
        board.Dispose();
        Assert.Throws<ObjectDisposedException>(board.Machine.Capture);
    }
}
