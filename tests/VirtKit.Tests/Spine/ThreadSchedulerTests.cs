using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

public sealed class ThreadSchedulerTests
{
    private static readonly VcpuExit PowerOff = new(ExitReason.Shutdown);

    [Fact]
    public void Run_OfSeveralVcpus_HasAThreadForEach()
    {
        int[] threads = new int[3];
        var all = new Barrier(3);
        var engine = new FakeEngine(core =>
        {
            threads[core.Index] = Environment.CurrentManagedThreadId;
            return all.SignalAndWait(Hang.Limit) ? PowerOff : new VcpuExit(ExitReason.Fault);
        });
        using Machine machine = engine.Compose(3, VcpuScheduling.Threads);
        Assert.Equal(ExitReason.Shutdown, machine.Run().Reason);
        Assert.Equal(3, threads.Distinct().Count());
    }

    [Fact]
    public async Task Run_OfEndlessGuests_IsCancelled()
    {
        var engine = new FakeEngine(_ => null);
        using Machine machine = engine.Compose(4, VcpuScheduling.Threads);
        using var source = new CancellationTokenSource(50);
        VcpuExit exit = await machine.RunAsync(source.Token).WaitAsync(Hang.Limit);
        Assert.Equal(ExitReason.Kicked, exit.Reason);
    }

    [Fact]
    public async Task Run_WhereVcpusWakeEachOther_LosesNoWake()
    {
        // A token goes round: each vCPU waits for its pin, clears it and asserts the next one's. One lost wake stops it for good.
        const int Rounds = 20_000, Vcpus = 3;
        Machine machine = null!;
        int passed = 0;
        var engine = new FakeEngine(core =>
        {
            if (core.Pins == 0)
            {
                core.WaitForInterrupt();
                return null;
            }

            machine.Vcpus[core.Index].Pin(1).Set(false);
            if (Interlocked.Increment(ref passed) == Rounds)
                return PowerOff;
            machine.Vcpus[(core.Index + 1) % Vcpus].Pin(1).Set(true);
            core.WaitForInterrupt();
            return null;
        });
        using (machine = engine.Compose(Vcpus, VcpuScheduling.Threads))
        {
            machine.Vcpus[0].Pin(1).Set(true);
            Assert.Equal(PowerOff, await machine.RunAsync().WaitAsync(Hang.Limit));
        }
    }

    [Fact]
    public async Task Run_OfWaitingGuests_WakesByAHostTimer()
    {
        var engine = new FakeEngine(core =>
        {
            if (core.Pins != 0)
                return PowerOff;
            core.WaitForInterrupt();
            return null;
        });
        using Machine machine = engine.Compose(2, VcpuScheduling.Threads);
        using ClockTimer timer = machine.Clock.CreateTimer(machine, () => machine.Vcpus[1].Pin(0).Set(true));
        timer.Set(machine.Clock.Now + 10_000_000);
        Assert.Equal(PowerOff, await machine.RunAsync().WaitAsync(Hang.Limit));
    }

    [Fact]
    public void Run_OfAnEngineThatThrows_IsAnInternalError()
    {
        var engine = new FakeEngine(core => core.Index == 1 ? throw new InvalidOperationException("broken") : null);
        using Machine machine = engine.Compose(2, VcpuScheduling.Threads);
        VcpuExit exit = machine.Run();
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains("broken", exit.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_Again_StartsNewThreadsAndGoesOn()
    {
        var engine = new FakeEngine(core => core.Retired % 100 == 99 ? new VcpuExit(ExitReason.Hypercall) : null);
        using Machine machine = engine.Compose(1, VcpuScheduling.Threads);
        for (ulong i = 1; i <= 5; i++)
        {
            Assert.Equal(ExitReason.Hypercall, machine.Run().Reason);
            Assert.Equal(i * 100, machine.Vcpus[0].Counters.Retired);
        }
    }
}
