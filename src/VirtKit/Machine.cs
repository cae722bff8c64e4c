using Microsoft.Extensions.Logging;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.Scheduling;
using VirtKit.Time;

namespace VirtKit;

/// <summary>A virtual machine: guest memory, vCPUs, a clock and attached devices, wired at construction and then on no hot path.</summary>
/// <remarks>One thread at a time builds and runs a machine. <see cref="RequestShutdown"/>, <see cref="RequestReset"/> and cancellation are for any thread.</remarks>
public sealed partial class Machine : IMachineEvents, IAsyncDisposable, IDisposable
{
    private readonly MachineOptions _options;
    private readonly EnginePartition _partition;
    private readonly Vcpu[] _vcpus;
    private readonly MachineMetrics _metrics;
    private readonly VcpuScheduler _scheduler;
    private StopRequest? _stop;
    private int _running;
    private bool _disposed;

    /// <summary>Composes a machine without devices.</summary>
    /// <param name="options">What it is made of.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="VirtKitException">The engine cannot run this architecture here; the message says why.</exception>
    public Machine(MachineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.VcpuCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.VcpuCount, 64);
        ArgumentOutOfRangeException.ThrowIfZero(options.Quantum);
        ArgumentOutOfRangeException.ThrowIfZero(options.NanosecondsPerInstruction);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.NanosecondsPerInstruction, 1_000_000UL);
        if (!Enum.IsDefined(options.Scheduling))
            throw new ArgumentOutOfRangeException(nameof(options), options.Scheduling, "Unknown scheduling.");

        ExecutionEngine engine = options.Engine ?? new InterpreterEngine();
        if (!engine.Supports(options.Architecture, out string? reason))
            throw new VirtKitException($"The engine {engine.Name} cannot run {options.Architecture.Name} here: {reason}");

        _options = options;
        Memory = new AddressSpace();
        Ports = options.Architecture.HasPorts ? new AddressSpace() : null;
        _scheduler = options.Scheduling switch
        {
            VcpuScheduling.Deterministic => new DeterministicScheduler(this, options),
            _ => new ThreadScheduler(this, options),
        };
        Engine = engine;
        _partition = engine.CreatePartition(new PartitionContext(options.Architecture, Memory, Ports, Clock, this, options.VcpuCount, options.Logger));
        _vcpus = new Vcpu[options.VcpuCount];
        for (int i = 0; i < _vcpus.Length; i++)
            _vcpus[i] = new Vcpu(i, _partition.CreateVcpu(i), vcpu => _scheduler.Wake(vcpu.Index));
        _metrics = new MachineMetrics(_vcpus);
        Memory.DeviceFailed += OnDeviceFailed;
        if (Ports is not null)
            Ports.DeviceFailed += OnDeviceFailed;
    }

    /// <summary>Guest memory and memory-mapped devices.</summary>
    public AddressSpace Memory { get; }

    /// <summary>Port space with its devices, on architectures that have one.</summary>
    public AddressSpace? Ports { get; }

    /// <summary>The machine's time.</summary>
    public MachineClock Clock => _scheduler.Clock;

    /// <summary>The engine that runs the guest.</summary>
    public ExecutionEngine Engine { get; }

    /// <summary>What the engine keeps for this machine; an engine's own type offers what it has beyond the SPI (a dirty log, doorbells).</summary>
    public EnginePartition Partition => _partition;

    /// <summary>The guest architecture with its configuration.</summary>
    public GuestArchitecture Architecture => _options.Architecture;

    /// <summary>The vCPUs by index.</summary>
    public IReadOnlyList<Vcpu> Vcpus => _vcpus;

    internal StopRequest? PendingStop => Volatile.Read(ref _stop);

    /// <summary>Runs all vCPUs until the guest powers off, resets or faults, or until it is cancelled. It may be called again, to go on.</summary>
    /// <param name="cancellationToken">Stops the machine; the exit is then <see cref="ExitReason.Kicked"/>, and the state is whole.</param>
    /// <returns>Why the machine stopped; never <see cref="ExitReason.Halted"/> or <see cref="ExitReason.BudgetExhausted"/>.</returns>
    /// <exception cref="InvalidOperationException">The machine is running already.</exception>
    public VcpuExit Run(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Interlocked.Exchange(ref _running, 1) != 0)
            throw new InvalidOperationException("The machine is running already.");
        try
        {
            using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
                static m => ((Machine)m!).RequestStop(new VcpuExit(ExitReason.Kicked)), this);
            LogStarted(_options.Logger, Architecture.Name, _vcpus.Length, Engine.Name);
            foreach (Vcpu vcpu in _vcpus)
                vcpu.Core.SynchronizeCode();
            VcpuExit exit = _scheduler.Run();
            LogStopped(_options.Logger, exit.Reason, exit.Code, exit.Detail);
            return exit;
        }
        finally
        {
            Volatile.Write(ref _stop, null);
            Volatile.Write(ref _running, 0);
        }
    }

    /// <summary>As <see cref="Run"/>, on a thread of its own.</summary>
    /// <inheritdoc cref="Run"/>
    public Task<VcpuExit> RunAsync(CancellationToken cancellationToken = default) =>
        Task.Factory.StartNew(() => Run(cancellationToken), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Stops the machine as a power-off does; for test finishers, power buttons and the like.</summary>
    /// <param name="code">The guest's exit code, 0 for success.</param>
    public void RequestShutdown(int code) => RequestStop(new VcpuExit(ExitReason.Shutdown, unchecked((uint)code)));

    /// <summary>Stops the machine with <see cref="ExitReason.Reset"/>; the host then calls <see cref="Reset"/> and loads the guest again.</summary>
    public void RequestReset() => RequestStop(new VcpuExit(ExitReason.Reset));

    /// <inheritdoc/>
    public void RequestStop(VcpuExit exit)
    {
        if (Interlocked.CompareExchange(ref _stop, new StopRequest(exit), null) is not null)
            return;
        foreach (Vcpu vcpu in _vcpus)
            vcpu.Kick();
    }

    /// <summary>Returns every vCPU and device to its state at power-on. Memory keeps its bytes. The machine is not running.</summary>
    /// <exception cref="InvalidOperationException">The machine is running.</exception>
    public void Reset()
    {
        if (Volatile.Read(ref _running) != 0)
            throw new InvalidOperationException("A running machine cannot be reset.");
        foreach (MemoryRegion region in Memory.Regions.Concat(Ports?.Regions ?? []))
        {
            if (region.Device is { } device)
            {
                lock (device)
                    device.Reset();
            }
        }

        foreach (Vcpu vcpu in _vcpus)
            vcpu.Reset();
    }

    /// <summary>Stops the machine and releases vCPUs, engine and memory. Attached devices stay their owners'.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        RequestStop(new VcpuExit(ExitReason.Kicked));
        SpinWait wait = default;
        while (Volatile.Read(ref _running) != 0)
        {
            RequestStop(new VcpuExit(ExitReason.Kicked));
            wait.SpinOnce();
        }

        _metrics.Dispose();
        foreach (Vcpu vcpu in _vcpus)
            vcpu.Close();
        _partition.Dispose();
        _scheduler.Dispose();
        Memory.Dispose();
        Ports?.Dispose();
    }

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    void IMachineEvents.Wake(int vcpu) => _scheduler.Wake(vcpu);

    private void OnDeviceFailed(IDevice device, Exception error)
    {
        LogDeviceFailed(_options.Logger, device.Window.Name, error);
        RequestStop(new VcpuExit(ExitReason.InternalError, 0, $"Device {device.Window.Name}: {error.Message}"));
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Architecture} machine with {VcpuCount} vCPU(s) starts on the {Engine}.")]
    private static partial void LogStarted(ILogger logger, string architecture, int vcpuCount, string engine);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Machine stopped: {Reason}, code {Code}. {Detail}")]
    private static partial void LogStopped(ILogger logger, ExitReason reason, ulong code, string? detail);

    [LoggerMessage(Level = LogLevel.Error, Message = "Device {Device} failed.")]
    private static partial void LogDeviceFailed(ILogger logger, string device, Exception error);

    /// <summary>The exit that somebody asked for; a class, so that the first request wins in one exchange.</summary>
    internal sealed record StopRequest(VcpuExit Exit);
}
