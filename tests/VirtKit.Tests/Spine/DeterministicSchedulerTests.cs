using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

public sealed class DeterministicSchedulerTests
{
    private static readonly VcpuExit PowerOff = new(ExitReason.Shutdown, 7);

    [Fact]
    public void Run_OfSeveralVcpus_GivesEachItsQuantumInTurn()
    {
        var order = new List<int>();
        var engine = new FakeEngine(core =>
        {
            order.Add(core.Index);
            return order.Count == 14 ? PowerOff : null;
        });
        using Machine machine = engine.Compose(vcpus: 3, quantum: 4);
        Assert.Equal(PowerOff, machine.Run());
        Assert.Equal([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0], order);
    }

    [Fact]
    public void Run_Repeated_IsTheSameToTheInstruction()
    {
        Assert.Equal(Trace(), Trace());

        static List<(int Vcpu, ulong Time)> Trace()
        {
            var trace = new List<(int, ulong)>();
            ClockTimer? timer = null;
            Machine machine = null!;
            var engine = new FakeEngine(core =>
            {
                trace.Add((core.Index, core.Context.Clock.Now));
                core.SetPin(0, false);
                if (core.Index == 0 && core.Retired % 7 == 3)
                    timer!.Set(core.Context.Clock.Now + 333);
                if (core.Retired % 5 == 4)
                    core.WaitForInterrupt();
                return trace.Count == 500 ? PowerOff : null;
            });
            using (machine = engine.Compose(vcpus: 3, quantum: 10))
            {
                int turn = 0;
                timer = machine.Clock.CreateTimer(machine, () =>
                {
                    foreach (Vcpu vcpu in machine.Vcpus)
                        vcpu.Pin(0).Set(true);
                    timer!.Set(machine.Clock.Now + 100 + (ulong)(++turn % 3));
                });
                timer.Set(50);
                machine.Run();
            }

            return trace;
        }
    }

    [Fact]
    public void Run_WhenAllWait_JumpsToTheNextDeadline()
    {
        var engine = new FakeEngine(core =>
        {
            if (core.Pins != 0)
                return PowerOff;
            core.WaitForInterrupt();
            return null;
        });
        using Machine machine = engine.Compose(vcpus: 2);
        using ClockTimer timer = machine.Clock.CreateTimer(machine, () => machine.Vcpus[1].Pin(3).Set(true));
        timer.Set(3_600_000_000_000);
        Assert.Equal(PowerOff, machine.Run());
        Assert.Equal(3_600_000_000_000UL, machine.Clock.Now - machine.Clock.Now % 1_000_000);
    }

    [Fact]
    public async Task Run_WhenAllWaitForTheHost_WakesByAPinFromAnotherThread()
    {
        // The race between going idle and the pin: many rounds, with the pin coming at every distance from the wait.
        var engine = new FakeEngine(core =>
        {
            if (core.Pins != 0)
                return PowerOff;
            core.WaitForInterrupt();
            return null;
        });
        using Machine machine = engine.Compose();
        for (int round = 0; round < 2_000; round++)
        {
            Task<VcpuExit> run = machine.RunAsync();
            Thread.SpinWait(round % 500);
            machine.Vcpus[0].Pin(0).Set(true);
            Assert.Equal(PowerOff, await run.WaitAsync(Hang.Limit));
            machine.Vcpus[0].Pin(0).Set(false);
        }
    }

    [Fact]
    public async Task Run_WhenAllWait_IsCancelled()
    {
        var engine = new FakeEngine(core =>
        {
            core.WaitForInterrupt();
            return null;
        });
        using Machine machine = engine.Compose(vcpus: 2);
        using var source = new CancellationTokenSource();
        Task<VcpuExit> run = machine.RunAsync(source.Token);
        await Task.Delay(20);
        source.Cancel();
        Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Hang.Limit)).Reason);
    }

    [Fact]
    public void Run_AfterAStopByTheGuest_GoesOnWhereItWas()
    {
        var whole = new List<int>();
        var parts = new List<int>();
        Record(whole, stopEvery: int.MaxValue);
        Record(parts, stopEvery: 10);
        Assert.Equal(whole.Count, parts.Count);
        Assert.Equal([.. whole.Order()], parts.Order());

        static void Record(List<int> order, int stopEvery)
        {
            var engine = new FakeEngine(core =>
            {
                order.Add(core.Index);
                return order.Count == 60 ? PowerOff : order.Count % stopEvery == 0 ? new VcpuExit(ExitReason.Hypercall) : null;
            });
            using Machine machine = engine.Compose(vcpus: 2, quantum: 5);
            while (machine.Run().Reason != ExitReason.Shutdown)
            {
            }
        }
    }

    [Fact]
    public void Kick_OfARunningVcpu_DoesNotStopTheMachine()
    {
        Machine machine = null!;
        var engine = new FakeEngine(core =>
        {
            if (core.Retired == 10)
                machine.Vcpus[0].Kick();
            return core.Retired == 1000 ? PowerOff : null;
        });
        using (machine = engine.Compose())
            Assert.Equal(PowerOff, machine.Run());
    }
}
