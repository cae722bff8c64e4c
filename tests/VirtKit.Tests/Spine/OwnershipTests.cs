using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

/// <summary>A machine has one owner at a time, whichever way in is taken.</summary>
public sealed class OwnershipTests
{
    private static readonly VcpuExit PowerOff = new(ExitReason.Shutdown);

    /// <summary>What asks for the machine, by name.</summary>
    private static readonly Dictionary<string, Action<Machine>> Operations = new()
    {
        ["Machine.Run"] = machine => machine.Run(),
        ["Machine.RunAsync"] = machine => machine.RunAsync(),
        ["Vcpu.Run"] = machine => machine.Vcpus[^1].Run(1),
        ["Vcpu.GetState"] = machine => machine.Vcpus[^1].GetState<FakeState>(),
        ["Vcpu.SetState"] = machine => machine.Vcpus[^1].SetState(new FakeState()),
        ["Vcpu.Reset"] = machine => machine.Vcpus[^1].Reset(),
        ["Machine.Reset"] = machine => machine.Reset(),
    };

    private static readonly Dictionary<string, Func<Machine, Task<VcpuExit>>> Ways = new()
    {
        ["Machine.Run"] = machine => Task.Factory.StartNew(() => machine.Run(), TaskCreationOptions.LongRunning),
        ["Machine.RunAsync"] = machine => machine.RunAsync(),
        ["Vcpu.Run"] = machine => Task.Factory.StartNew(() => machine.Vcpus[0].Run(), TaskCreationOptions.LongRunning),
    };

    public static TheoryData<string, VcpuScheduling> WaysToRun => new(
        from way in Ways.Keys from scheduling in Enum.GetValues<VcpuScheduling>() select (way, scheduling));

    [Theory]
    [MemberData(nameof(WaysToRun))]
    public async Task Operation_WhileTheMachineRuns_IsRefusedAndToldTheOwner(string way, VcpuScheduling scheduling)
    {
        using Machine machine = new FakeEngine(_ => null).Compose(2, scheduling);
        Task<VcpuExit> run = Ways[way](machine);
        while (machine.Vcpus[0].Counters.Retired == 0)
            Thread.Yield();
        foreach ((string name, Action<Machine> operation) in Operations)
        {
            var refusal = Assert.Throws<InvalidOperationException>(() => operation(machine));
            Assert.StartsWith(name, refusal.Message, StringComparison.Ordinal);
            Assert.Contains($"{way} owns it", refusal.Message, StringComparison.Ordinal);
        }

        // These are for any thread.
        machine.Vcpus[1].Kick();
        machine.Vcpus[1].Pin(3).Set(true);
        Assert.True(machine.Vcpus[0].Counters.Retired > 0);
        machine.RequestShutdown(0);
        Assert.Equal(PowerOff, await run.WaitAsync(Hang.Limit, TestContext.Current.CancellationToken));
        AssertFree(machine);
    }

    [Theory]
    [MemberData(nameof(WaysToRun))]
    public async Task Operation_FromACallback_IsRefusedAndTheRunGoesOn(string way, VcpuScheduling scheduling)
    {
        Machine machine = null!;
        var refusals = new List<string>();
        ClockTimer timer = null!;
        var engine = new FakeEngine(core =>
        {
            if (core.Index != 0)
                return null;
            if (core.Retired == 5)
            {
                Refused();
                timer.Set(core.Context.Clock.Now);
            }

            lock (refusals)
                return refusals.Count == 2 * Operations.Count ? PowerOff : null;
        });
        using (machine = engine.Compose(2, scheduling))
        {
            timer = machine.Clock.CreateTimer(new object(), Refused);
            Assert.Equal(PowerOff, await Ways[way](machine).WaitAsync(Hang.Limit, TestContext.Current.CancellationToken));
            Assert.All(refusals, message => Assert.Contains("from a callback of the machine", message, StringComparison.Ordinal));
            AssertFree(machine);
        }

        void Refused()
        {
            string[] messages = [.. Operations.Values.Select(operation => Assert.Throws<InvalidOperationException>(() => operation(machine)).Message)];
            lock (refusals)
                refusals.AddRange(messages);
        }
    }

    [Fact]
    public void Operation_InAnotherMachinesCallback_IsLetIn()
    {
        using Machine inner = new FakeEngine(core => core.Retired == 9 ? PowerOff : null).Compose();
        var seen = new List<VcpuExit>();
        var engine = new FakeEngine(core =>
        {
            if (core.Retired == 3)
                seen.Add(inner.Run(TestContext.Current.CancellationToken));
            return core.Retired == 4 ? PowerOff : null;
        });
        using Machine outer = engine.Compose();
        Assert.Equal(PowerOff, outer.Run(TestContext.Current.CancellationToken));
        Assert.Equal([PowerOff], seen);
    }

    [Fact]
    public void Operation_OfADisposedMachine_IsRefused()
    {
        Machine machine = new FakeEngine(_ => null).Compose(2);
        machine.Dispose();
        foreach (Action<Machine> operation in Operations.Values)
            Assert.Throws<ObjectDisposedException>(() => operation(machine));
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task VcpuRun_BesideARunningMachine_IsRefusedEveryTime(string engine)
    {
        foreach (VcpuScheduling scheduling in Enum.GetValues<VcpuScheduling>())
        {
            using var machine = new RiscV.Support.BareMachine(engine, "again: addi a0, a0, 1\nj again", vcpus: 2, scheduling: scheduling);
            Task<VcpuExit> run = machine.Machine.RunAsync(TestContext.Current.CancellationToken);
            for (int i = 0; i < 200; i++)
            {
                Vcpu vcpu = machine.Machine.Vcpus[i % 2];
                Assert.Throws<InvalidOperationException>(() => vcpu.Run(5000));
                Assert.Throws<InvalidOperationException>(() => vcpu.GetState<RiscVState>());
                Assert.Throws<InvalidOperationException>(() => vcpu.SetState(new RiscVState()));
                vcpu.Kick();
            }

            machine.Machine.RequestShutdown(4);
            Assert.Equal(new VcpuExit(ExitReason.Shutdown, 4), await run.WaitAsync(Hang.Limit, TestContext.Current.CancellationToken));
            Assert.True(machine.State.Pc is RiscV.Support.BareMachine.Ram or RiscV.Support.BareMachine.Ram + 4);
        }
    }

    private static void AssertFree(Machine machine)
    {
        machine.Vcpus[^1].Reset();
        machine.Vcpus[^1].SetState(machine.Vcpus[^1].GetState<FakeState>());
        Assert.Equal(ExitReason.BudgetExhausted, machine.Vcpus[^1].Run(1).Reason);
        machine.Reset();
        machine.RequestShutdown(1);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 1), machine.Run());
    }
}
