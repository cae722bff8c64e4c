using VirtKit.Devices;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using VirtKit.Time;

namespace VirtKit.Tests.Spine;

/// <summary>The one door for what comes from the host's threads.</summary>
public sealed class PostTests
{
    private static readonly VcpuExit PowerOff = new(ExitReason.Shutdown);

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static TheoryData<VcpuScheduling> Schedulings => [VcpuScheduling.Deterministic, VcpuScheduling.Threads];

    [Theory]
    [MemberData(nameof(Schedulings))]
    public async Task Post_FromAnotherThread_RunsInOrderUnderItsGate(VcpuScheduling scheduling)
    {
        using Machine machine = new FakeEngine(_ => null).Compose(2, scheduling);
        object gate = new();
        var order = new List<int>();
        Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
        for (int i = 0; i < 100; i++)
        {
            int number = i;
            machine.Clock.Post(gate, () => order.Add(Monitor.IsEntered(gate) ? number : -1));
        }

        machine.Clock.Post(gate, () => machine.RequestShutdown(0));
        Assert.Equal(PowerOff, await run.WaitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Equal(Enumerable.Range(0, 100), order);
    }

    [Fact]
    public async Task Post_ToADeterministicMachine_RunsBetweenInstructionsOnItsThread()
    {
        int inInstruction = 0, thread = 0;
        var engine = new FakeEngine(_ =>
        {
            thread = Environment.CurrentManagedThreadId;
            inInstruction = 1;
            Thread.SpinWait(50);
            inInstruction = 0;
            return null;
        });
        // A quantum that never ends: without a post the slice does not either.
        using Machine machine = engine.Compose(quantum: ulong.MaxValue);
        Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
        var seen = new List<bool>();
        for (int i = 0; i < 200; i++)
        {
            using var done = new ManualResetEventSlim();
            machine.Clock.Post(done, () =>
            {
                seen.Add(inInstruction == 0 && (thread == 0 || thread == Environment.CurrentManagedThreadId));
                done.Set();
            });
            Assert.True(done.Wait(Limit, TestContext.Current.CancellationToken));
        }

        machine.RequestShutdown(0);
        Assert.Equal(PowerOff, await run.WaitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.DoesNotContain(false, seen);
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public async Task Post_ToAMachineThatWaits_WakesIt(VcpuScheduling scheduling)
    {
        var engine = new FakeEngine(core =>
        {
            if (core.Pins != 0)
                return PowerOff;
            core.WaitForInterrupt();
            return null;
        });
        using Machine machine = engine.Compose(2, scheduling);
        for (int round = 0; round < 500; round++)
        {
            Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
            Thread.SpinWait(round);
            machine.Clock.Post(new object(), () => machine.Vcpus[1].Pin(0).Set(true));
            Assert.Equal(PowerOff, await run.WaitAsync(Limit, TestContext.Current.CancellationToken));
            machine.Vcpus[1].Pin(0).Set(false);
        }
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public void Post_ToAMachineThatStands_WaitsForTheNextRunAndIsDroppedWithTheMachine(VcpuScheduling scheduling)
    {
        int ran = 0;
        var engine = new FakeEngine(_ => null);
        Machine machine = engine.Compose(1, scheduling);
        machine.Clock.Post(new object(), () => ran++);
        Thread.Sleep(20);
        Assert.Equal(0, ran);
        machine.Clock.Post(new object(), () => machine.RequestShutdown(0));
        Assert.Equal(PowerOff, machine.Run(TestContext.Current.CancellationToken));
        Assert.Equal(1, ran);
        machine.Clock.Post(new object(), () => ran++);
        machine.Dispose();
        machine.Clock.Post(new object(), () => ran++);
        Assert.Equal(1, ran);
        Assert.Throws<ArgumentNullException>(() => machine.Clock.Post(null!, () => { }));
        Assert.Throws<ArgumentNullException>(() => machine.Clock.Post(machine, null!));
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public void Post_OfAnActionThatThrows_IsAnInternalError(VcpuScheduling scheduling)
    {
        using Machine machine = new FakeEngine(_ => null).Compose(1, scheduling);
        machine.Clock.Post(new object(), () => throw new InvalidOperationException("it broke"));
        VcpuExit exit = machine.Run(TestContext.Current.CancellationToken);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains("it broke", exit.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public void Post_OfAnActionThatPostsItself_KeepsNobodyFromRunning(VcpuScheduling scheduling)
    {
        int ran = 0;
        var engine = new FakeEngine(core => core.Retired == 5000 && Volatile.Read(ref ran) > 10 ? PowerOff : core.Retired == 5000 ? new VcpuExit(ExitReason.Hypercall) : null);
        using Machine machine = engine.Compose(1, scheduling);
        machine.Clock.Post(machine, Again);
        Assert.NotEqual(ExitReason.Kicked, machine.Run(TestContext.Current.CancellationToken).Reason);
        Assert.True(engine.Cores[0].Retired > 5000);

        void Again()
        {
            Interlocked.Increment(ref ran);
            machine.Clock.Post(machine, Again);
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Posts_BehindTheSameInstructions_GiveTheSameRun(string engine)
    {
        // First input comes when it likes, on a thread of the host, and is stamped; then it is posted behind the same numbers of instructions.
        var stamps = new List<ulong>();
        using var done = new CancellationTokenSource();
        string first = InvisibleStopTests.Run(engine, 1000, (machine, clint) =>
        {
            ((VirtualClock)machine.Clock).PostRuns += (instructions, _) => stamps.Add(instructions);
            int posted = 0, waits = 0;
            bool hasPosted = false;
            var host = new Thread(() =>
            {
                while (!done.IsCancellationRequested)
                {
                    if (Volatile.Read(ref waits) == 0)
                    {
                        Volatile.Write(ref waits, 1);
                        Thread.SpinWait(300);
                        machine.Clock.Post(clint, () =>
                        {
                            Input(clint, posted++);
                            Volatile.Write(ref waits, 0);
                        });
                        Volatile.Write(ref hasPosted, true);
                    }
                }
            });
            host.Start();
            // A host under load may not get to its thread before the guest ends.
            SpinWait.SpinUntil(() => Volatile.Read(ref hasPosted));
            VcpuExit exit = machine.Run(TestContext.Current.CancellationToken);
            done.Cancel();
            host.Join();
            return exit;
        }, waits: false);
        Assert.NotEmpty(stamps);
        string second = InvisibleStopTests.Run(engine, 1000, (machine, clint) =>
        {
            ulong at = 0;
            for (int i = 0; i < stamps.Count; i++)
            {
                Assert.Equal(ExitReason.BudgetExhausted, machine.Run(stamps[i] - at, TestContext.Current.CancellationToken).Reason);
                at = stamps[i];
                int number = i;
                machine.Clock.Post(clint, () => Input(clint, number));
            }

            return machine.Run(TestContext.Current.CancellationToken);
        }, waits: false);
        Assert.Equal(first, second);

        static void Input(Aclint clint, int number) => clint.Write((ulong)number % 4 * 4, 4, 1);
    }
}
