using System.Diagnostics.Metrics;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

public sealed class MachineTests
{
    private static readonly VcpuExit PowerOff = new(ExitReason.Shutdown);

    public static TheoryData<VcpuScheduling> Schedulings => [VcpuScheduling.Deterministic, VcpuScheduling.Threads];

    [Theory]
    [InlineData(0, 1UL, 1UL)]
    [InlineData(65, 1UL, 1UL)]
    [InlineData(1, 0UL, 1UL)]
    [InlineData(1, 1UL, 0UL)]
    [InlineData(1, 1UL, 1_000_001UL)]
    public void Constructor_WithAnOptionOutOfRange_Throws(int vcpus, ulong quantum, ulong nanoseconds) => Assert.ThrowsAny<ArgumentException>(() => new Machine(
        new MachineOptions
        {
            Architecture = new FakeArchitecture(), Engine = new FakeEngine(_ => null), VcpuCount = vcpus, Quantum = quantum, NanosecondsPerInstruction = nanoseconds,
        }));

    [Fact]
    public void Constructor_WithAnEngineThatCannot_ThrowsItsReason()
    {
        var error = Assert.Throws<VirtKitException>(() => new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new FakeEngine(_ => null) }));
        Assert.Contains("it is not fake", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public async Task Dispose_WhileRunning_StopsAndReleasesEverything(VcpuScheduling scheduling)
    {
        var engine = new FakeEngine(_ => null);
        Machine machine = engine.Compose(2, scheduling);
        Task<VcpuExit> run = machine.RunAsync();
        while (machine.Vcpus[0].Counters.Retired == 0)
            Thread.Yield();
        await machine.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(TimeSpan.FromSeconds(20))).Reason);
        Assert.True(engine.PartitionDisposed);
        Assert.All(engine.Cores, core => Assert.True(core.Disposed));
        machine.Dispose();
        Assert.Throws<ObjectDisposedException>(() => machine.Run());
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public async Task RequestStop_FromManyThreads_GivesOneOfTheRequests(VcpuScheduling scheduling)
    {
        var engine = new FakeEngine(_ => null);
        using Machine machine = engine.Compose(2, scheduling);
        for (int round = 0; round < 50; round++)
        {
            ulong before = machine.Vcpus[0].Counters.Retired;
            Task<VcpuExit> run = machine.RunAsync();
            while (machine.Vcpus[0].Counters.Retired == before)
                Thread.Yield();
            Parallel.For(0, 8, i => machine.RequestStop(new VcpuExit(ExitReason.Shutdown, (ulong)i + 1)));
            VcpuExit exit = await run.WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal(ExitReason.Shutdown, exit.Reason);
            Assert.InRange(exit.Code, 1UL, 8UL);
            // A request that comes after the machine has stopped stops the next run: it is used up here, so that the rounds stay apart.
            machine.RequestStop(PowerOff);
            machine.Run();
        }
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public void Run_WithADeviceThatThrows_IsAnInternalErrorThatNamesIt(VcpuScheduling scheduling)
    {
        var engine = new FakeEngine(core =>
        {
            core.Context.Memory.TryStore(new Gpa(0x1000), 4, 1);
            return null;
        });
        using Machine machine = engine.Compose(1, scheduling);
        machine.Memory.Map(new Gpa(0x1000), new FakeDevice { OnWrite = (_, _, _) => throw new InvalidOperationException("it broke") });
        VcpuExit exit = machine.Run();
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Equal("Device fake: it broke", exit.Detail);
    }

    [Theory]
    [MemberData(nameof(Schedulings))]
    public void RequestShutdown_FromADevice_StopsWithItsCode(VcpuScheduling scheduling)
    {
        var engine = new FakeEngine(core =>
        {
            if (core.Index == 0 && core.Retired == 5)
                core.Context.Memory.TryStore(new Gpa(0x1000), 4, 3);
            return null;
        });
        using Machine machine = engine.Compose(2, scheduling);
        machine.Memory.Map(new Gpa(0x1000), new FakeDevice { OnWrite = (_, _, value) => machine.RequestShutdown((int)value) });
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 3), machine.Run());
    }

    [Fact]
    public async Task Run_WhileItRuns_Throws()
    {
        using Machine machine = new FakeEngine(_ => null).Compose();
        Task<VcpuExit> run = machine.RunAsync();
        while (machine.Vcpus[0].Counters.Retired == 0)
            Thread.Yield();
        Assert.Throws<InvalidOperationException>(() => machine.Run());
        Assert.Throws<InvalidOperationException>(machine.Reset);
        machine.RequestShutdown(0);
        await run.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public void Run_WithACancelledToken_StopsBeforeLong()
    {
        using Machine machine = new FakeEngine(_ => null).Compose();
        Assert.Equal(ExitReason.Kicked, machine.Run(new CancellationToken(canceled: true)).Reason);
        Assert.True(machine.Vcpus[0].Counters.Retired <= 100);
    }

    [Fact]
    public void Reset_OfAStoppedMachine_ReachesVcpusAndDevicesAndKeepsMemory()
    {
        var engine = new FakeEngine(_ => PowerOff);
        using Machine machine = engine.Compose(2);
        var device = new FakeDevice();
        machine.Memory.Map(new Gpa(0x10000), device);
        machine.Memory.MapRam(new Gpa(0x1000), 0x1000);
        machine.Memory.Write(new Gpa(0x1000), [9]);
        machine.Run();
        machine.Reset();
        Assert.Equal(1, device.Resets);
        Assert.All(engine.Cores, core => Assert.Equal(1, core.Resets));
        Assert.True(machine.Memory.TryRead(new Gpa(0x1000), out byte value) && value == 9);
    }

    [Fact]
    public void VcpuRun_WithABudget_StopsExactlyThere()
    {
        using Machine machine = new FakeEngine(_ => null).Compose();
        Vcpu vcpu = machine.Vcpus[0];
        Assert.Equal(ExitReason.BudgetExhausted, vcpu.Run(123).Reason);
        Assert.Equal(ExitReason.BudgetExhausted, vcpu.Run(0).Reason);
        Assert.Equal(123UL, vcpu.GetState<FakeState>().Retired);
        vcpu.SetState(new FakeState { Retired = 5 });
        Assert.Equal(5UL, vcpu.Counters.Retired);
        Assert.Throws<ArgumentException>(() => vcpu.GetState<RiscVState>());
    }

    [Fact]
    public async Task VcpuRun_Kicked_ComesBackAndRefusesASecondThread()
    {
        using Machine machine = new FakeEngine(_ => null).Compose();
        Vcpu vcpu = machine.Vcpus[0];
        Task<VcpuExit> run = Task.Run(() => vcpu.Run());
        while (vcpu.Counters.Retired == 0)
            Thread.Yield();
        Assert.Throws<InvalidOperationException>(() => vcpu.Run());
        vcpu.Kick();
        Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(TimeSpan.FromSeconds(20))).Reason);
        using var source = new CancellationTokenSource(20);
        Assert.Equal(ExitReason.Kicked, vcpu.Run(cancellationToken: source.Token).Reason);
        Assert.Equal(ExitReason.Kicked, vcpu.Run(cancellationToken: source.Token).Reason);
    }

    [Fact]
    public void Metrics_OfARunMachine_AreThereForEachVcpu()
    {
        var measured = new Dictionary<string, List<long>>();
        var engine = new FakeEngine(core => core.Index == 1 && core.Retired == 41 ? PowerOff : null);
        using Machine machine = engine.Compose(2, quantum: 50);
        machine.Run();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter.Name == "VirtKit")
                l.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            // Other tests' machines publish at the same time: retired instructions tell them apart.
            lock (measured)
                (measured.TryGetValue(instrument.Name, out List<long>? list) ? list : measured[instrument.Name] = []).Add(value);
        });
        listener.Start();
        listener.RecordObservableInstruments();
        Assert.Contains(50L, measured["virtkit.instructions.retired"]);
        Assert.Contains(42L, measured["virtkit.instructions.retired"]);
        Assert.Contains(2L, measured["virtkit.mmio.accesses"]);
        Assert.Contains(3L, measured["virtkit.tlb.misses"]);
        Assert.Contains(4L, measured["virtkit.traps"]);
        Assert.Contains(1L, measured["virtkit.exits"]);
    }
}
