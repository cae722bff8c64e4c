using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>A machine that changes its engine between two instructions, any number of times, runs as one that keeps it.</summary>
public sealed class SwitchEngineTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Ordered pairs of different engines.</summary>
    public static TheoryData<string, string> Pairs => [.. from one in RiscVEngines.All from other in RiscVEngines.All where one != other select (one, other)];

    [Theory]
    [MemberData(nameof(Pairs))]
    public void SwitchEngine_BetweenPieces_EndsInTheSameBytes(string one, string other)
    {
        Random random = Seed.Random();
        AssertInvisible(one, machine =>
        {
            ExecutionEngine[] engines = [machine.Engine, RiscVEngines.Create(other)];
            VcpuExit exit;
            int switches = 0;
            do
            {
                exit = machine.Run((ulong)random.Next(1, 300), Cancellation);
                machine.SwitchEngine(engines[++switches % 2]);
                Assert.Same(engines[switches % 2], machine.Engine);
            }
            while (exit.Reason == ExitReason.BudgetExhausted);
            Assert.True(switches > 100);
            return exit;
        });
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void SwitchEngine_ByATimerAsPolicy_EndsInTheSameBytes(string one, string other) => AssertInvisible(one, machine =>
    {
        ExecutionEngine[] engines = [machine.Engine, RiscVEngines.Create(other)];
        int switches = 0;
        ClockTimer timer = null!;
        using (timer = machine.Clock.CreateTimer(new object(), () =>
        {
            machine.SwitchEngine(engines[++switches % 2]);
            timer.Set(machine.Clock.Now + 1777);
        }))
        {
            timer.Set(1000);
            VcpuExit exit = machine.Run(Cancellation);
            Assert.True(switches > 100);
            return exit;
        }
    });

    [Theory]
    [MemberData(nameof(Pairs))]
    public void SwitchEngine_ByAnotherThread_EndsInTheSameBytes(string one, string other) => AssertInvisible(one, machine =>
    {
        using var end = new CancellationTokenSource();
        ExecutionEngine[] engines = [machine.Engine, RiscVEngines.Create(other)];
        ulong before = machine.Vcpus[0].Counters.Retired;
        var switcher = new Thread(() =>
        {
            // A machine that stands is taken for the switch, and a run that begins then is refused.
            while (machine.Vcpus[0].Counters.Retired == before && !end.IsCancellationRequested)
                Thread.Yield();
            for (int i = 1; !end.IsCancellationRequested; i++)
            {
                machine.SwitchEngine(engines[i % 2]);
                Thread.Yield();
            }
        });
        switcher.Start();
        VcpuExit exit = machine.Run(Cancellation);
        end.Cancel();
        switcher.Join();
        return exit;
    });

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task SwitchEngine_OfThreads_LosesNoIncrement(string one, string other)
    {
        const int Harts = 3, Rounds = 400_000;
        using var guest = new BareMachine(one, $"""
            la s3, count
            li s4, {Rounds}
            li t1, 1
            loop: amoadd.d t2, t1, (s3)
            addi s4, s4, -1
            bnez s4, loop
            end: wfi
            j end
            .align 8
            count: .dword 0
            """, Harts, scheduling: VcpuScheduling.Threads);
        Machine machine = guest.Machine;
        ExecutionEngine[] engines = [machine.Engine, RiscVEngines.Create(other)];
        Task<VcpuExit> run = machine.RunAsync(Cancellation);
        int switches = 0;
        while (!run.IsCompleted)
        {
            machine.SwitchEngine(engines[++switches % 2]);
            await Task.Delay(1, Cancellation);
        }

        Assert.Equal(ExitReason.Halted, (await run).Reason);
        Assert.Equal((ulong)Harts * Rounds, guest.Read(guest["count"]));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void SwitchEngine_PinsKicksAndCounters_StayTheMachines(string one, string other)
    {
        using var guest = new BareMachine(one, "loop: addi a0, a0, 1\nj loop");
        InterruptLine line = guest.Vcpu.Pin(9);
        line.Set(true);
        guest.Machine.Run(1000, Cancellation);
        VcpuCounters before = guest.Vcpu.Counters;
        guest.Machine.SwitchEngine(RiscVEngines.Create(other));
        Assert.Equal(before, guest.Vcpu.Counters);
        Assert.Equal(1000UL, before.Retired);
        Assert.Equal(500UL, guest.State.X[10]);
        // A line that was taken before reaches the same pin.
        line.Set(false);
        guest.Machine.Run(1000, Cancellation);
        Assert.Equal((2000UL, 1000UL), (guest.Vcpu.Counters.Retired, guest.State.X[10]));
        guest.Vcpu.Kick();
        guest.Machine.SwitchEngine(RiscVEngines.Create(one));
        Assert.Equal(ExitReason.Kicked, guest.Vcpu.Run(10, Cancellation).Reason);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void SwitchEngine_BehindCodeThatTheHostWrote_RunsTheNewCode(string one, string other)
    {
        using var guest = new BareMachine(one, "addi a0, a0, 1\nwfi");
        ExecutionEngine first = guest.Machine.Engine, second = RiscVEngines.Create(other);
        for (ulong round = 1; round <= 6; round++)
        {
            guest.Write(BareMachine.Ram, $"addi a0, zero, {round}\nwfi");
            VirtKit.RiscV.RiscVState state = guest.State;
            state.Pc = BareMachine.Ram;
            state.Waiting = false;
            guest.State = state;
            Assert.Equal(round, guest.RunToWait().X[10]);
            guest.Machine.SwitchEngine(round % 2 == 0 ? first : second);
        }
    }

    [Fact]
    public void SwitchEngine_ToEverNewOnes_KeepsTwo()
    {
        using var guest = new BareMachine("interpreter", "loop: addi a0, a0, 1\nj loop");
        var partitions = new List<WeakReference>();
        for (int i = 0; i < 50; i++)
        {
            guest.Machine.Run(100, Cancellation);
            guest.Machine.SwitchEngine(new InterpreterEngine());
            partitions.Add(new WeakReference(guest.Machine.Partition));
        }

        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.InRange(partitions.Count(partition => partition.IsAlive), 1, 3);
        Assert.Equal(2500UL, guest.State.X[10]);
    }

    [Fact]
    public void SwitchEngine_ToWhatCannotTakeOver_IsRefusedAndChangesNothing()
    {
        using var guest = new BareMachine("interpreter", "loop: addi a0, a0, 1\nj loop");
        ExecutionEngine engine = guest.Machine.Engine;
        Assert.Throws<ArgumentNullException>("engine", () => guest.Machine.SwitchEngine(null!));
        Assert.Contains("cannot run riscv64", Assert.Throws<VirtKitException>(() => guest.Machine.SwitchEngine(new FakeEngine(_ => null))).Message, StringComparison.Ordinal);
        guest.Machine.SwitchEngine(engine);
        Assert.Same(engine, guest.Machine.Engine);
        guest.Machine.Run(10, Cancellation);
        Assert.Equal(10UL, guest.Vcpu.Counters.Retired);

        var fake = new FakeEngine(_ => null);
        using Machine machine = fake.Compose();
        Assert.Contains("keeps the state of its vCPUs itself", Assert.Throws<VirtKitException>(() => machine.SwitchEngine(new FakeEngine(_ => null))).Message, StringComparison.Ordinal);
        machine.Dispose();
        Assert.Throws<ObjectDisposedException>(() => machine.SwitchEngine(fake));
    }

    private static void AssertInvisible(string engine, Func<Machine, VcpuExit> run) =>
        Assert.Equal(
            InvisibleStopTests.Run(engine, 100, (machine, _) => machine.Run(Cancellation)),
            InvisibleStopTests.Run(engine, 100, (machine, _) => run(machine)));
}
