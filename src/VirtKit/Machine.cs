using System.Diagnostics;
using Microsoft.Extensions.Logging;
using VirtKit.Engines;
using VirtKit.Scheduling;
using VirtKit.Telemetry;
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
    private readonly ILogger _logger;
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
        ArgumentException.ThrowIfNullOrEmpty(options.Name, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.VcpuCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.VcpuCount, 64);
        ArgumentOutOfRangeException.ThrowIfZero(options.Quantum);
        ArgumentOutOfRangeException.ThrowIfZero(options.NanosecondsPerInstruction);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.NanosecondsPerInstruction, 1_000_000UL);
        if (options.Scheduling is { } asked && !Enum.IsDefined(asked))
            throw new ArgumentOutOfRangeException(nameof(options), asked, "Unknown scheduling.");

        EngineSelection = EngineSelection.For(options);
        Scheduling = options.Scheduling ?? (Engine.CountsInstructions ? VcpuScheduling.Deterministic : VcpuScheduling.Threads);
        if (Scheduling == VcpuScheduling.Deterministic && !Engine.CountsInstructions)
            throw new ArgumentException($"The engine {Engine.Name} cannot count instructions, as {nameof(VcpuScheduling.Deterministic)} demands: use {nameof(VcpuScheduling.Threads)}.", nameof(options));

        _options = options;
        _logger = MachineLogger.Create(options.Logger, options.Name);
        _metrics = new MachineMetrics(options.MeterFactory, options.Name);
        Memory = new AddressSpace();
        Ports = options.Architecture.HasPorts ? new AddressSpace() : null;
        _scheduler = Scheduling switch
        {
            VcpuScheduling.Deterministic => new DeterministicScheduler(this, options),
            _ => new ThreadScheduler(this, options),
        };
        _partition = Engine.CreatePartition(new PartitionContext(options.Architecture, Memory, Ports, Clock, this, options.VcpuCount, _logger) { Metrics = _metrics });
        _vcpus = new Vcpu[options.VcpuCount];
        for (int i = 0; i < _vcpus.Length; i++)
            _vcpus[i] = new Vcpu(i, _partition.CreateVcpu(i), vcpu => _scheduler.Wake(vcpu.Index));
        _metrics.Show(_vcpus);
        Memory.DeviceFailed += OnDeviceFailed;
        if (Ports is not null)
            Ports.DeviceFailed += OnDeviceFailed;
    }

    /// <summary>What the host calls the machine (<see cref="MachineOptions.Name"/>).</summary>
    public string Name => _options.Name;

    /// <summary>Guest memory and memory-mapped devices.</summary>
    public AddressSpace Memory { get; }

    /// <summary>Port space with its devices, on architectures that have one.</summary>
    public AddressSpace? Ports { get; }

    /// <summary>The machine's time.</summary>
    public MachineClock Clock => _scheduler.Clock;

    /// <summary>The engine that runs the guest.</summary>
    public ExecutionEngine Engine => EngineSelection.Engine;

    /// <summary>Why this engine runs the guest, and why not a faster one.</summary>
    public EngineSelection EngineSelection { get; }

    /// <summary>How the vCPUs share the host: what the options say, or what their default comes to with this engine.</summary>
    public VcpuScheduling Scheduling { get; }

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
            using Activity? activity = RunActivity.Start(this);
            LogStarted(_logger, Architecture.Name, _vcpus.Length, Engine.Name);
            VcpuExit exit = _scheduler.Run();
            LogStopped(_logger, exit.Reason, exit.Code, exit.Detail);
            activity.End(exit);
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
        LogDeviceFailed(_logger, device.Window.Name, error);
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
