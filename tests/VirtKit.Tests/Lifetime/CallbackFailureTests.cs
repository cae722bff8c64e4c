using Microsoft.Extensions.Logging;
using VirtKit.Accel.Kvm;
using VirtKit.RiscV;
using VirtKit.Scheduling;
using VirtKit.Tests.Kvm;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Lifetime;

/// <summary>A callback of the host's that throws ends the run with an exit that tells of it, whatever it throws and whoever waits for its vCPU.</summary>
public sealed class CallbackFailureTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    /// <summary>As the runtime throws it where the host's memory is at its end.</summary>
#pragma warning disable CA2201 // The runtime's own exception is what is tested.
    private static OutOfMemoryException OutOfMemory(string message) => new(message);
#pragma warning restore CA2201

    private static readonly Dictionary<string, Func<Exception>> Errors = new()
    {
        ["the host's"] = () => new NotSupportedException("the host's stream"),
        ["out of memory"] = () => OutOfMemory("the host's heap"),
    };

    public static TheoryData<string, string> EnginesAndErrors => [.. from engine in LifetimeEngines.Names.Select(row => row.Data) from error in Errors.Keys select (engine, error)];

    public static TheoryData<string, string> RiscVEnginesAndErrors => [.. from engine in RiscVEngines.All from error in Errors.Keys select (engine, error)];

    [Theory]
    [MemberData(nameof(EnginesAndErrors))]
    public async Task Device_ThatThrows_EndsTheRun(string engine, string error)
    {
        using Machine machine = LifetimeEngines.Compose(engine, 2);
        machine.Memory.Map(new Gpa(LifetimeEngines.DeviceAddress), new FakeDevice { OnWrite = (_, _, _) => throw Errors[error]() });
        VcpuExit exit = await machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Limit);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains("the host's", exit.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(EnginesAndErrors))]
    public async Task Timer_ThatThrows_EndsTheRun(string engine, string error)
    {
        using Machine machine = LifetimeEngines.Compose(engine, 2);
        machine.Memory.Map(new Gpa(LifetimeEngines.DeviceAddress), new FakeDevice());
        using ClockTimer timer = machine.Clock.CreateTimer(new object(), () => throw Errors[error]());
        Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
        timer.Set(machine.Clock.Now);
        VcpuExit exit = await run.WaitAsync(Limit);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains("the host's", exit.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(RiscVEnginesAndErrors))]
    public async Task SbiConsole_ThatThrowsWhileAnotherHartFencesItsOwn_EndsTheRun(string engine, string error)
    {
        int written = 0;
        var console = new ThrowingConsole(() => Interlocked.Increment(ref written) > 2000 ? Errors[error]() : null);
        using var bare = new BareMachine(engine, """
                li t1, 1
                beq a0, t1, fences
                li a7, 0x4442434e
                li a6, 2
                li a0, 65
            print:
                ecall
                j print
            fences:
                li a7, 0x52464e43
                li a6, 1
                li a0, 1
                li a1, 0
                li a2, 0
                li a3, -1
                ecall
                j fences
            """, vcpus: 2, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads, console: console);
        VcpuExit exit = await bare.Machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Limit);
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        Assert.Contains("the host's", exit.Detail, StringComparison.Ordinal);
        // The machine is whole: it goes on where the console does not throw.
        written = int.MinValue;
        using var stop = new CancellationTokenSource(100);
        Assert.Equal(ExitReason.Kicked, (await bare.Machine.RunAsync(stop.Token).WaitAsync(Limit)).Reason);
        Assert.True(written > int.MinValue);
    }

    [Theory]
    [InlineData("the host's")]
    [InlineData("out of memory")]
    public void HypercallAndMsrHandlers_ThatThrow_EndTheRun(string error)
    {
        var handler = new ThrowingHandler(() => throw Errors[error]());
        foreach (bool msr in (bool[])[false, true])
        {
            using var guest = new X64Guest(new X64Architecture { HypercallPort = 0xe8, Msrs = MsrPolicy.Default.Emulate(0x1234) });
            guest.Machine.Hypercalls = handler;
            X64Platform.Of(guest.Machine).MsrHandler = handler;
            guest.Load(64, a =>
            {
                a.mov(ecx, 0x1234);
                if (msr)
                    a.rdmsr();
                else
                    a.@out(0xe8, al);
                a.hlt();
            });
            VcpuExit exit = guest.Run();
            Assert.Equal(ExitReason.InternalError, exit.Reason);
            Assert.Contains("the host's", exit.Detail, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(VcpuScheduling.Deterministic)]
    [InlineData(VcpuScheduling.Threads)]
    public void Logger_ThatThrows_LosesNoExit(VcpuScheduling scheduling)
    {
        var engine = new FakeEngine(core => core.Context.Memory.TryLoad(new Gpa(0x1000), 4, out _) ? new VcpuExit(ExitReason.Shutdown, 5) : null);
        using var machine = new Machine(new MachineOptions { Architecture = new FakeArchitecture(), Engine = engine, Scheduling = scheduling, Logger = new ThrowingLogger() });
        MemoryRegion region = machine.Memory.Map(new Gpa(0x1000), new FakeDevice());
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 5), machine.Run(TestContext.Current.CancellationToken));
        machine.Memory.Unmap(region);
        machine.Memory.Map(new Gpa(0x1000), new FakeDevice { OnRead = (_, _) => throw new InvalidOperationException("broken") });
        Assert.Equal("Device fake: broken", machine.Run(TestContext.Current.CancellationToken).Detail);
    }

    [Fact]
    public void Exception_WhoseTextCannotBeMade_IsAnExitAllTheSame()
    {
        var engine = new FakeEngine(_ => throw new UnspeakableException());
        using Machine machine = engine.Compose(scheduling: VcpuScheduling.Threads);
        Assert.Equal(ExitReason.InternalError, machine.Run(TestContext.Current.CancellationToken).Reason);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task Run_WhereAVcpusThreadCannotBeStarted_StopsTheOthers(int fails)
    {
        var engine = new FakeEngine(_ => null);
        using Machine machine = engine.Compose(4, VcpuScheduling.Threads);
        var threads = new List<Thread>();
        var scheduler = new ThreadScheduler(machine, new MachineOptions { Architecture = new FakeArchitecture(), VcpuCount = 4 })
        {
            StartThread = thread =>
            {
                if (threads.Count == fails)
                    throw OutOfMemory("no thread");
                threads.Add(thread);
                thread.Start();
            },
        };
        var failure = await Assert.ThrowsAsync<VirtKitException>(() => Task.Run(() => scheduler.Run(null, ulong.MaxValue), TestContext.Current.CancellationToken).WaitAsync(Limit));
        Assert.Contains($"vCPU {fails}", failure.Message, StringComparison.Ordinal);
        Assert.All(threads, thread => Assert.False(thread.IsAlive));
        scheduler.Close(waits: true);
    }

    private sealed class ThrowingConsole(Func<Exception?> write) : ISbiConsole
    {
        public void Write(ReadOnlySpan<byte> bytes)
        {
            if (write() is { } error)
                throw error;
        }

        public int Read(Span<byte> buffer) => 0;
    }

    private sealed class ThrowingHandler(Func<bool> answer) : IHypercallHandler, IMsrHandler
    {
        public bool TryAnswer(int vcpu, Hypercall call, out ulong result)
        {
            result = 0;
            return answer();
        }

        public bool TryRead(int vcpu, uint index, out ulong value)
        {
            value = 0;
            return answer();
        }

        public bool TryWrite(int vcpu, uint index, ulong value) => answer();
    }

    private sealed class ThrowingLogger : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => throw new IOException("full");

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => throw new IOException("full");
    }

    private sealed class UnspeakableException : Exception
    {
        public override string Message => throw new InvalidOperationException();

        public override string ToString() => throw new InvalidOperationException();
    }
}
