using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

/// <summary>A vCPU that the host drives: the same clock, timers, stops and exits as with a machine that runs as a whole.</summary>
public sealed class VcpuRunTests
{
    private static readonly VcpuExit PowerOff = new(ExitReason.Shutdown, 7);

    public static TheoryData<VcpuScheduling> Schedulings => [VcpuScheduling.Deterministic, VcpuScheduling.Threads];

    /// <summary>SBI's system reset, with a reason that makes the exit's code 1; on return once more.</summary>
    private const string ShutsDownAgainAndAgain = """
        again: addi s0, s0, 1
        li a7, 0x53525354
        li a6, 0
        li a0, 0
        li a1, 1
        ecall
        j again
        """;

    [Fact]
    public void Run_WithABudget_MovesTheClockAndFiresTimersAtTheirInstruction()
    {
        var fired = new List<ulong>();
        var engine = new FakeEngine(_ => null);
        using Machine machine = engine.Compose(2);
        using ClockTimer timer = machine.Clock.CreateTimer(new object(), () => fired.Add(engine.Cores[1].Retired));
        timer.Set(405);
        Assert.Equal(ExitReason.BudgetExhausted, machine.Vcpus[1].Run(123).Reason);
        Assert.Equal(1230UL, machine.Clock.Now);
        Assert.Equal([41UL], fired);
        Assert.Equal((0UL, 123UL), (engine.Cores[0].Retired, engine.Cores[1].Retired));
    }

    [Fact]
    public void Run_OfAWaitingVcpu_GoesOnAtTheTimerThatWakesItAndHaltsWithoutOne()
    {
        var engine = new FakeEngine(core =>
        {
            core.SetPin(0, false);
            core.WaitForInterrupt();
            return null;
        });
        using Machine machine = engine.Compose();
        using ClockTimer timer = machine.Clock.CreateTimer(new object(), () => machine.Vcpus[0].Pin(0).Set(true));
        timer.Set(1_000_000);
        Assert.Equal(ExitReason.Halted, machine.Vcpus[0].Run().Reason);
        Assert.Equal((2UL, 1_000_010UL), (engine.Cores[0].Retired, machine.Clock.Now));
        Assert.Equal(ExitReason.Halted, machine.Vcpus[0].Run().Reason);
        Assert.Equal(2UL, engine.Cores[0].Retired);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Run_GuestThatShutsDownTwice_ComesBackWithItsCodeTwice(string engine)
    {
        foreach (VcpuScheduling scheduling in Enum.GetValues<VcpuScheduling>())
        {
            using var machine = new BareMachine(engine, ShutsDownAgainAndAgain, sbi: new SbiOptions(), scheduling: scheduling);
            for (ulong i = 1; i <= 3; i++)
            {
                Assert.Equal(new VcpuExit(ExitReason.Shutdown, 1), i == 2 ? machine.Machine.Run(TestContext.Current.CancellationToken) : machine.Vcpu.Run());
                Assert.Equal(i, machine.State.X[8]);
            }

            if (scheduling == VcpuScheduling.Deterministic)
                Assert.Equal(machine.Vcpu.Counters.Retired * 10, machine.Machine.Clock.Now);
        }
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public void Run_StoppedBeforehand_ComesBackAtOnceAndOnce(VcpuScheduling scheduling)
    {
        var engine = new FakeEngine(core => core.Retired == 9 ? PowerOff : null);
        using Machine machine = engine.Compose(1, scheduling);
        Vcpu vcpu = machine.Vcpus[0];
        machine.RequestShutdown(3);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 3), vcpu.Run());
        vcpu.Kick();
        vcpu.Kick();
        Assert.Equal(ExitReason.Kicked, vcpu.Run().Reason);
        Assert.Equal(ExitReason.Kicked, vcpu.Run(cancellationToken: new CancellationToken(canceled: true)).Reason);
        Assert.Equal(ExitReason.Kicked, machine.Run(new CancellationToken(canceled: true)).Reason);
        Assert.Equal(0UL, engine.Cores[0].Retired);
        Assert.Equal(PowerOff, vcpu.Run());
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public void Run_GuestThatShutsDownBesideACancellation_LosesNeither(VcpuScheduling scheduling)
    {
        // Whichever comes first: the guest believes that it is off, and must not go on as if it were not.
        foreach (bool kickFirst in (bool[])[true, false])
        {
            Machine machine = null!;
            var engine = new FakeEngine(core =>
            {
                if (core.Retired != 5)
                    return null;
                if (kickFirst)
                    machine.RequestStop(new VcpuExit(ExitReason.Kicked));
                machine.RequestShutdown(7);
                machine.RequestStop(new VcpuExit(ExitReason.Kicked));
                return null;
            });
            using (machine = engine.Compose(1, scheduling))
            {
                Assert.Equal(PowerOff, machine.Run(TestContext.Current.CancellationToken));
                Assert.Equal(6UL, engine.Cores[0].Retired);
                Assert.Equal(ExitReason.BudgetExhausted, machine.Vcpus[0].Run(10).Reason);
            }
        }
    }

    [Fact]
    public void Run_VcpusThatExitAtTheSameTime_GivesEachExit()
    {
        using var all = new Barrier(3);
        var engine = new FakeEngine(core =>
        {
            if (core.Retired == 0)
                all.SignalAndWait(Hang.Limit);
            return core.Retired == 0 ? new VcpuExit(ExitReason.Hypercall, (ulong)core.Index) : PowerOff;
        });
        using Machine machine = engine.Compose(3, VcpuScheduling.Threads);
        var exits = new List<VcpuExit>();
        for (int i = 0; i < 3; i++)
            exits.Add(machine.Run(TestContext.Current.CancellationToken));
        Assert.Equal([0UL, 1UL, 2UL], exits.Select(exit => exit.Code).Order());
        Assert.All(exits, exit => Assert.Equal(ExitReason.Hypercall, exit.Reason));
    }

    [Fact]
    public void MachineRun_WithABudget_CountsAllVcpusAndStopsExactlyThere()
    {
        var engine = new FakeEngine(core => core.Retired == 399 ? PowerOff : null);
        using Machine machine = engine.Compose(3, quantum: 10);
        ulong total = 0;
        foreach (ulong budget in (ulong[])[1, 9, 10, 11, 0, 37, 100, 5])
        {
            Assert.Equal(new VcpuExit(ExitReason.BudgetExhausted), machine.Run(budget, TestContext.Current.CancellationToken));
            total += budget;
            Assert.Equal(total, engine.Cores.Aggregate(0UL, (sum, core) => sum + core.Retired));
            Assert.Equal(total * 10, machine.Clock.Now);
        }

        Assert.Equal(PowerOff, machine.Run(ulong.MaxValue, TestContext.Current.CancellationToken));
        using Machine threads = engine.Compose(1, VcpuScheduling.Threads);
        Assert.Throws<InvalidOperationException>(() => threads.Run(10, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Constructor_DeterministicWithAnEngineThatCannotCount_Throws()
    {
        var options = new MachineOptions
        {
            Architecture = new FakeArchitecture(), Engine = new FakeEngine(_ => null) { Counts = false }, Scheduling = VcpuScheduling.Deterministic,
        };
        Assert.Contains("Threads", Assert.Throws<ArgumentException>(() => new Machine(options)).Message, StringComparison.Ordinal);
        new Machine(options with { Scheduling = VcpuScheduling.Threads }).Dispose();
    }
}
