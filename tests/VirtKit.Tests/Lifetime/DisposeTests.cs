using Microsoft.Extensions.Logging;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.Scheduling;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Lifetime;

/// <summary><see cref="Machine.Dispose"/> from every place where a host may call it.</summary>
public sealed class DisposeTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    public static TheoryData<string> Engines => LifetimeEngines.Names;

    public static TheoryData<string, VcpuScheduling, string> Places => [.. from engine in LifetimeEngines.Names.Select(row => row.Data)
        from scheduling in Enum.GetValues<VcpuScheduling>()
        where scheduling == VcpuScheduling.Threads || LifetimeEngines.Counts(engine)
        from place in (string[])["read", "write", "timer", "logger", "failure"]
        select (engine, scheduling, place)];

    [Theory]
    [MemberData(nameof(Places))]
    public async Task Dispose_InACallback_EndsTheRunAndReleasesThen(string engine, VcpuScheduling scheduling, string place)
    {
        Machine machine = null!;
        ClockTimer? timer = null;
        int disposals = 0, reads = 0;
        void Dispose()
        {
            Interlocked.Increment(ref disposals);
            machine.Dispose();
            machine.Dispose();
            // It is released when the run comes back; until then the callback has all that it had.
            Assert.NotEmpty(machine.Memory.Regions);
        }

        machine = LifetimeEngines.Compose(engine, 2, scheduling, options => place == "logger" ? options with { Logger = new CallingLogger(Dispose) } : options);
        machine.Memory.Map(new Gpa(LifetimeEngines.DeviceAddress), new FakeDevice
        {
            OnRead = (_, _) =>
            {
                if (place == "read")
                    Dispose();
                if (place == "failure")
                    throw new InvalidOperationException("to be reported");
                if (place == "timer" && Interlocked.Increment(ref reads) == 1)
                    timer!.Set(machine.Clock.Now + 1000);
                return 0;
            },
            OnWrite = (_, _, _) =>
            {
                if (place == "write")
                    Dispose();
            },
        });
        if (place == "failure")
            machine.Memory.DeviceFailed += (_, _) => Dispose();
        timer = machine.Clock.CreateTimer(new object(), Dispose);
        VcpuExit exit = await Task.Run(() => machine.Run()).WaitAsync(Limit, TestContext.Current.CancellationToken);
        Assert.Equal(place == "failure" ? ExitReason.InternalError : ExitReason.Kicked, exit.Reason);
        Assert.True(disposals > 0);
        AssertReleased(machine);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Dispose_InTheSbiConsole_EndsTheRun(string engine)
    {
        Machine machine = null!;
        var console = new ActionConsole(() => machine.Dispose());
        var bare = new BareMachine(engine, """
                li a7, 0x4442434e
                li a6, 2
                li a0, 65
            again:
                ecall
                j again
            """, sbi: new SbiOptions(), console: console);
        machine = bare.Machine;
        Assert.Equal(ExitReason.Kicked, (await machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Limit)).Reason);
        AssertReleased(machine);
    }

    [Fact]
    public async Task Dispose_OfABoardInItsConsole_EndsTheRun()
    {
        RiscVVirt board = null!;
        var console = new ActionConsoleBackend(() => board.Dispose());
        board = new RiscVVirt(new RiscVVirtOptions { Machine = new MachineOptions { Architecture = new RiscVArchitecture() }, Console = console });
        board.Machine.Memory.Write(RiscVVirt.FirmwareAddress, RiscVAssembler.Assemble("""
                li t0, 0x10000000
            again:
                sb t0, 0(t0)
                j again
            """, BareMachine.Ram, out _));
        board.BootFirmware(RiscVVirt.FirmwareAddress);
        Assert.Equal(ExitReason.Kicked, (await board.Machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Limit)).Reason);
        AssertReleased(board.Machine);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Dispose_OnAThreadThatHoldsADevicesGate_DoesNotWaitForTheVcpuThatWantsIt(string engine)
    {
        Machine machine = LifetimeEngines.Compose(engine);
        var read = new ManualResetEventSlim();
        var device = new FakeDevice { OnRead = (_, _) => { read.Set(); return 0; } };
        machine.Memory.Map(new Gpa(LifetimeEngines.DeviceAddress), device);
        Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
        Assert.True(read.Wait(Limit, TestContext.Current.CancellationToken));
        // As a backend's thread does that calls into its device, whose handler disposes of the machine.
        Task disposal = Task.Run(() =>
        {
            lock (device)
                machine.Dispose();
        });
        await disposal.WaitAsync(Limit, TestContext.Current.CancellationToken);
        Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Limit, TestContext.Current.CancellationToken)).Reason);
        AssertReleased(machine);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Dispose_FromManyThreadsAtOnce_ReturnsWhenItIsReleased(string engine)
    {
        for (int i = 0; i < 10; i++)
        {
            Machine machine = LifetimeEngines.Compose(engine, 2);
            machine.Memory.Map(new Gpa(LifetimeEngines.DeviceAddress), new FakeDevice());
            Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
            Task[] disposals = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
            {
                machine.Dispose();
                Assert.True(machine.Memory.IsDisposed);
            }))];
            await Task.WhenAll(disposals).WaitAsync(Limit, TestContext.Current.CancellationToken);
            Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Limit, TestContext.Current.CancellationToken)).Reason);
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Members_OfADisposedMachine_RefuseOrDoNothing(string engine)
    {
        Machine machine = LifetimeEngines.Compose(engine, 2, change: options => options);
        Vcpu vcpu = machine.Vcpus[1];
        InterruptLine[] lines = [.. Enumerable.Range(0, 64).Where(vcpu.Core.HasPin).Select(vcpu.Pin)];
        Assert.NotEmpty(lines);
        using ClockTimer timer = machine.Clock.CreateTimer(new object(), () => Assert.Fail("The timer of a machine that is gone."));
        VcpuCounters counters = vcpu.Counters;
        machine.Dispose();
        Action[] refused =
        [
            () => machine.Run(), () => machine.RunAsync(), machine.Reset, () => vcpu.Run(), vcpu.Reset, () => _ = machine.Memory.Regions,
        ];
        Assert.All(refused, member => Assert.Throws<ObjectDisposedException>(member));
        foreach (bool level in (bool[])[true, false, true])
        {
            foreach (InterruptLine line in lines)
                line.Set(level);
        }

        vcpu.Kick();
        machine.RequestShutdown(1);
        machine.RequestReset();
        machine.RequestStop(new VcpuExit(ExitReason.Kicked));
        timer.Set(machine.Clock.Now);
        Assert.Equal(counters, vcpu.Counters);
        Assert.Equal(2, machine.Vcpus.Count);
        Assert.Equal(LifetimeEngines.Architecture(engine).Name, machine.Architecture.Name);
        machine.Dispose();
    }

    [Fact]
    public async Task Close_OfAGateWhoseOwnerStays_GivesUpAndLeavesTheReleaseToIt()
    {
        var gate = new MachineGate { Patience = TimeSpan.FromMilliseconds(20) };
        int released = 0;
        gate.Enter("Test");
        gate.Entrust();
        await Task.Run(() => gate.Close(() => { }, () => released++, waits: true), TestContext.Current.CancellationToken).WaitAsync(Limit);
        Assert.Equal(0, released);
        Assert.Throws<ObjectDisposedException>(() => gate.Enter("Another"));
        gate.Leave();
        Assert.Equal(1, released);
        gate.Close(() => { }, () => released++, waits: true);
        Assert.Equal(1, released);
    }

    private static void AssertReleased(Machine machine)
    {
        Assert.True(machine.Memory.IsDisposed);
        Assert.Throws<ObjectDisposedException>(() => machine.Run());
        machine.Vcpus[0].Kick();
        machine.Dispose();
    }

    private sealed class CallingLogger(Action called) : ILogger
    {
        private int _calls;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (Interlocked.Increment(ref _calls) == 1)
                called();
        }
    }

    private sealed class ActionConsole(Action write) : ISbiConsole
    {
        public void Write(ReadOnlySpan<byte> bytes) => write();

        public int Read(Span<byte> buffer) => 0;
    }

    private sealed class ActionConsoleBackend(Action write) : IConsoleBackend
    {
        public ConsoleSize Size => default;

        public event Action? Changed
        {
            add { }
            remove { }
        }

        public int Write(ReadOnlySpan<byte> bytes)
        {
            write();
            return bytes.Length;
        }

        public int Read(Span<byte> buffer) => 0;
    }
}
