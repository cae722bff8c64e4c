using System.Diagnostics;
using Microsoft.Extensions.Logging;
using VirtKit.Engines;
using VirtKit.Scheduling;
using VirtKit.State;
using VirtKit.Telemetry;
using VirtKit.Time;

namespace VirtKit;

/// <summary>A virtual machine: guest memory, vCPUs, a clock and attached devices, wired at construction and then on no hot path.</summary>
/// <remarks>A machine has one owner at a time: a run, by <see cref="Run(CancellationToken)"/> or <see cref="Vcpu.Run"/>, or an operation that needs it stopped, such as
/// <see cref="Reset"/> and <see cref="Vcpu.GetState"/>. Whoever comes second gets an <see cref="InvalidOperationException"/> that names the owner, also from within
/// the machine's own callbacks. <see cref="RequestShutdown"/>, <see cref="RequestReset"/>, <see cref="RequestStop"/> and cancellation are for any thread.</remarks>
/// <example>
/// A machine without a board, from an ELF file to its end:
/// <code>
/// using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture() });
/// machine.Memory.MapRam(new Gpa(0x8000_0000), 1 &lt;&lt; 20);
/// ElfImage guest = ElfImage.Parse(File.ReadAllBytes("guest.elf"), ElfMachine.RiscV);
/// guest.Load(machine.Memory);
/// Vcpu hart = machine.Vcpus[0];
/// hart.SetState(hart.GetState&lt;RiscVState&gt;() with { Pc = guest.Entry.Value });
/// VcpuExit exit = machine.Run(budget: 1_000_000);
/// </code>
/// </example>
public sealed partial class Machine : IMachineEvents, IAsyncDisposable, IDisposable
{
    /// <summary>Clocks count 64-bit nanoseconds from 1970, some of them with a sign: that is until 2262, and the guest's own time comes on top.</summary>
    private static readonly DateTimeOffset LatestCalendarStart = new(2200, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly MachineOptions _options;
    private readonly Vcpu[] _vcpus;
    private readonly MachineMetrics _metrics;
    private readonly VcpuScheduler _scheduler;
    private readonly MachineGate _gate = new();
    private readonly ILogger _logger;
    private IHypercallHandler? _hypercalls;
    private StopRequest? _stop;
    private volatile bool _kicked;
    private int _undeliveredExits;

    /// <summary>Composes a machine without devices.</summary>
    /// <param name="options">What it is made of.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="VirtKitException">The engine cannot run this architecture here; the message says why.</exception>
    public Machine(MachineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Architecture is null)
            throw new ArgumentNullException(nameof(options), $"{nameof(MachineOptions.Architecture)} is null.");
        if (options.Logger is null)
            throw new ArgumentNullException(nameof(options), $"{nameof(MachineOptions.Logger)} is null.");
        if (string.IsNullOrEmpty(options.Name))
            throw new ArgumentException($"{nameof(MachineOptions.Name)} is null or empty.", nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.VcpuCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.VcpuCount, 64);
        ArgumentOutOfRangeException.ThrowIfZero(options.Quantum);
        ArgumentOutOfRangeException.ThrowIfZero(options.NanosecondsPerInstruction);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.NanosecondsPerInstruction, 1_000_000UL);
        if (options.Scheduling is { } asked and not (VcpuScheduling.Deterministic or VcpuScheduling.Threads))
            throw new ArgumentOutOfRangeException(nameof(options), asked, "Unknown scheduling.");
        if (options is not { IdleTime: IdleTime.Skipped or IdleTime.RealTime, StoppedTime: StoppedTime.Held or StoppedTime.RunsOn, WhenHalted: HaltPolicy.End or HaltPolicy.Wait })
            throw new ArgumentOutOfRangeException(nameof(options), (options.IdleTime, options.StoppedTime, options.WhenHalted), "An unknown value of IdleTime, StoppedTime or WhenHalted.");
        if (options.CalendarStart is { } calendar && (calendar < DateTimeOffset.UnixEpoch || calendar > LatestCalendarStart))
            throw new ArgumentOutOfRangeException("options.CalendarStart", calendar, "The calendar starts between 1970-01-01 and 2200-01-01 UTC.");

        EngineSelection selection = EngineSelection.For(options);
        ExecutionEngine engine = selection.Engine;
        Scheduling = options.Scheduling ?? (engine.CountsInstructions ? VcpuScheduling.Deterministic : VcpuScheduling.Threads);
        if (Scheduling == VcpuScheduling.Deterministic && !engine.CountsInstructions)
            throw new ArgumentException($"The engine {engine.Name} does not count instructions, and time is counted in them with {nameof(VcpuScheduling)}.{Scheduling}: choose {nameof(VcpuScheduling.Threads)}.", nameof(options));

        _options = options;
        _logger = new MachineLogger(options.Logger, options.Name);
        _metrics = new MachineMetrics(options.MeterFactory, options.Name);
        Memory = new AddressSpace();
        Ports = options.Architecture.HasPorts ? new AddressSpace() : null;
        _vcpus = new Vcpu[options.VcpuCount];
        _scheduler = Scheduling switch
        {
            VcpuScheduling.Deterministic => new DeterministicScheduler(this, options),
            _ => new ThreadScheduler(this, options),
        };
        _recordedHypercalls = new RecordedHypercalls(Clock.CreateInput(this, static () => { }), () => Hypercalls);
        try
        {
            Context = new PartitionContext(options.Architecture, Memory, Ports, Clock, this, options.VcpuCount, _logger) { Metrics = _metrics };
            Attach(Create(selection));
            for (int i = 0; i < _vcpus.Length; i++)
                _vcpus[i] = new Vcpu(this, i, _attached.Cores[i]);
        }
        catch
        {
            Release(waits: true);
            throw;
        }

        Memory.Gate = _gate;
        Memory.DeviceFailed += OnDeviceFailed;
        if (Ports is not null)
        {
            Ports.Gate = _gate;
            Ports.DeviceFailed += OnDeviceFailed;
        }

        _metrics.Show(_vcpus);
    }

    /// <summary>What the host calls the machine (<see cref="MachineOptions.Name"/>).</summary>
    public string Name => _options.Name;

    /// <summary>Guest memory and memory-mapped devices.</summary>
    public AddressSpace Memory { get; }

    /// <summary>Port space with its devices, on architectures that have one.</summary>
    public AddressSpace? Ports { get; }

    /// <summary>The machine's time.</summary>
    public MachineClock Clock => _scheduler.Clock;

    /// <summary>How the vCPUs share the host: what the options say, or what their default comes to with this engine.</summary>
    public VcpuScheduling Scheduling { get; }

    /// <summary>The guest architecture with its configuration.</summary>
    public GuestArchitecture Architecture => _options.Architecture;

    /// <summary>The vCPUs by index.</summary>
    public IReadOnlyList<Vcpu> Vcpus => _vcpus;

    /// <summary>Whether the vCPUs have to come back: the machine has been asked to stop, another engine is to run it, or it is to be captured. Any thread.</summary>
    internal bool MustStop => _kicked || Volatile.Read(ref _stop) is not null || Volatile.Read(ref _undeliveredExits) != 0 || Volatile.Read(ref _next) is not null || !_between.IsEmpty;

    /// <summary>Who answers the guest's hypercalls while its vCPUs go on; <see langword="null"/>, the default, where each comes back as <see cref="ExitReason.Hypercall"/>. Any
    /// thread, at any time.</summary>
    public IHypercallHandler? Hypercalls
    {
        get => Volatile.Read(ref _hypercalls);
        set => Volatile.Write(ref _hypercalls, value);
    }

    /// <inheritdoc/>
    IHypercallHandler? IMachineEvents.Hypercalls => Clock.Journal is null ? Hypercalls : _recordedHypercalls;

    internal MachineGate Gate => _gate;

    /// <summary>Runs all vCPUs until the guest powers off, resets or faults, or until it is cancelled. It may be called again, to go on.</summary>
    /// <param name="cancellationToken">Stops the machine, also before the first instruction; the exit is then <see cref="ExitReason.Kicked"/>, and the state is whole.</param>
    /// <returns>Why the machine stopped. An exit that came at the same time as another is what the next call returns, before any vCPU runs. <see cref="ExitReason.Halted"/>
    /// where no vCPU can go on by itself (<see cref="MachineOptions.WhenHalted"/>).</returns>
    /// <exception cref="InvalidOperationException">The machine is running already, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public VcpuExit Run(CancellationToken cancellationToken = default) => RunAs("Machine.Run", null, ulong.MaxValue, cancellationToken);

    /// <summary>As <see cref="Run(CancellationToken)"/>, for at most so many instructions: the run ends with <see cref="ExitReason.BudgetExhausted"/> behind the very
    /// instruction, and a machine that goes on in pieces runs as one that ran through.</summary>
    /// <param name="budget">The most instructions to retire, over all vCPUs together; <see cref="ulong.MaxValue"/> is no limit. Idle time that is skipped costs nothing of it.</param>
    /// <param name="cancellationToken">As there.</param>
    /// <exception cref="InvalidOperationException">As there; also with <see cref="VcpuScheduling.Threads"/>, where vCPUs run at the same time and cannot stop at a common
    /// count: there <see cref="Vcpu.Run"/> takes a budget for one vCPU.</exception>
    /// <inheritdoc cref="Run(CancellationToken)"/>
    public VcpuExit Run(ulong budget, CancellationToken cancellationToken = default)
    {
        if (budget != ulong.MaxValue && Scheduling != VcpuScheduling.Deterministic)
            throw new InvalidOperationException($"A budget for all vCPUs together needs {nameof(VcpuScheduling)}.{nameof(VcpuScheduling.Deterministic)}. Vcpu.Run takes one for a single vCPU.");
        return RunAs("Machine.Run", null, budget, cancellationToken);
    }

    /// <summary>As <see cref="Run(CancellationToken)"/>, on a thread of its own. The machine is owned from here on, not only from when that thread runs.</summary>
    /// <inheritdoc cref="Run(CancellationToken)"/>
    public Task<VcpuExit> RunAsync(CancellationToken cancellationToken = default)
    {
        _gate.Enter("Machine.RunAsync");
        _gate.Entrust();
        try
        {
            return Task.Factory.StartNew(() => RunOwned(null, ulong.MaxValue, cancellationToken), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        catch
        {
            _gate.Leave();
            throw;
        }
    }

    /// <summary>Stops the machine as a power-off does; for test finishers, power buttons and the like.</summary>
    /// <param name="code">The guest's exit code, 0 for success.</param>
    public void RequestShutdown(int code) => RequestStop(new VcpuExit(ExitReason.Shutdown, unchecked((uint)code)));

    /// <summary>Stops the machine with <see cref="ExitReason.Reset"/>; the host then calls <see cref="Reset"/> and loads the guest again.</summary>
    public void RequestReset() => RequestStop(new VcpuExit(ExitReason.Reset));

    /// <inheritdoc/>
    public void RequestStop(VcpuExit exit)
    {
        // A kick is no reason of the guest's, so it neither takes the place of one nor keeps it from being delivered.
        if (exit.Reason == ExitReason.Kicked)
            _kicked = true;
        else if (Interlocked.CompareExchange(ref _stop, StopRequest.Of(exit), null) is not null)
            return;
        Interrupt(except: null);
    }

    /// <summary>Resets every vCPU and device; what a battery keeps (a clock's time, CMOS memory) stays. Memory keeps its bytes, <see cref="AddressSpace.Loaded"/> forgets
    /// what was loaded, and time goes on. The machine is not running.</summary>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public void Reset()
    {
        using MachineHold hold = Hold("Machine.Reset");
        RefuseWhileRecorded("Machine.Reset");
        foreach (MemoryRegion region in Memory.Regions.Concat(Ports?.Regions ?? []))
        {
            if (region.Device is { } device)
            {
                lock (device)
                    device.Reset();
            }
        }

        foreach (Vcpu vcpu in _vcpus)
            vcpu.ResetOwned();
        _undeliveredExits = 0;
        _scheduler.Reset();
        Memory.Loaded.Clear();
    }

    /// <summary>Stops the machine and releases vCPUs, engine and memory. Attached devices stay their owners'. Idempotent; any thread.</summary>
    /// <remarks>
    /// It waits for the run under way, whose exit is <see cref="ExitReason.Kicked"/>. Called from inside the machine (by a device, a timer, a console, a handler or a
    /// logger, also while a device's gate is held) it asks for the stop and returns; the release then happens when the run comes back. A callback that does not return
    /// within ten seconds is not waited for either. Nothing is released under a running thread.
    /// Afterwards memory, vCPUs and the machine itself throw <see cref="ObjectDisposedException"/>; <see cref="Vcpu.Kick"/>, interrupt lines and requests do nothing,
    /// and <see cref="Vcpu.Counters"/> keep their last values. A machine that is never disposed of is released by the garbage collector, unless it runs.
    /// </remarks>
    public void Dispose()
    {
        bool waits = !_gate.IsInside && !HoldsADevice();
        _gate.Close(() => RequestStop(new VcpuExit(ExitReason.Kicked)), () => Release(waits), waits);
    }

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    void IMachineEvents.Wake(int vcpu) => Wake(vcpu);

    internal void Wake(int vcpu) => _scheduler.Wake(vcpu);

    /// <summary>Takes the stopped machine for one operation.</summary>
    internal MachineHold Hold(string operation) => new(_gate, operation);

    /// <summary>Runs one vCPU alone.</summary>
    internal VcpuExit RunOne(Vcpu vcpu, ulong budget, CancellationToken cancellationToken) => RunAs("Vcpu.Run", vcpu, budget, cancellationToken);

    /// <summary>Notes an exit that ends the run. On the thread that ran the vCPU.</summary>
    internal void Stop(Vcpu vcpu, VcpuExit exit)
    {
        vcpu.UndeliveredExit = exit;
        Interlocked.Increment(ref _undeliveredExits);
    }

    /// <summary>Brings the vCPUs out of the guest, so that they look at <see cref="MustStop"/>. Any thread.</summary>
    internal void Interrupt(Vcpu? except)
    {
        foreach (Vcpu vcpu in _vcpus)
        {
            if (vcpu != except)
                vcpu.Interrupt();
        }
    }

    /// <summary>Takes the exit that ends the run under way: what the guest or the host asked of the machine first, then what a vCPU came back with, then a kick.</summary>
    /// <param name="only">The one vCPU that runs, or <see langword="null"/> for all.</param>
    /// <returns>The exit, or <see langword="null"/> where the run goes on.</returns>
    internal VcpuExit? TakeExit(Vcpu? only)
    {
        if (Volatile.Read(ref _stop) is not null)
            return Interlocked.Exchange(ref _stop, null)!.Exit;
        if (Volatile.Read(ref _undeliveredExits) != 0)
        {
            foreach (Vcpu vcpu in only is null ? _vcpus : [only])
            {
                if (vcpu.UndeliveredExit is { } exit)
                {
                    vcpu.UndeliveredExit = null;
                    Interlocked.Decrement(ref _undeliveredExits);
                    return exit;
                }
            }
        }

        return _kicked || (only?.TakeKick() ?? false) ? new VcpuExit(ExitReason.Kicked) : null;
    }

    /// <summary>The exit of a machine whose vCPUs have no work, none of which anything can wake. No vCPU runs.</summary>
    /// <returns>The exit, or <see langword="null"/> where one can be woken, or where the host wants to wait.</returns>
    internal VcpuExit? Halted()
    {
        if (_options.WhenHalted != HaltPolicy.End)
            return null;
        foreach (Vcpu vcpu in _vcpus)
        {
            if (vcpu.Core.HasWork || vcpu.Core.CannotBeWoken is null)
                return null;
        }

        return new VcpuExit(ExitReason.Halted, 0, string.Join(' ', _vcpus.Select(vcpu => $"vCPU {vcpu.Index} {vcpu.Core.CannotBeWoken}.")));
    }

    private VcpuExit RunAs(string operation, Vcpu? only, ulong budget, CancellationToken cancellationToken)
    {
        _gate.Enter(operation);
        return RunOwned(only, budget, cancellationToken);
    }

    /// <summary>The one way in which vCPUs run. The machine is owned, and is given back at the end.</summary>
    private VcpuExit RunOwned(Vcpu? only, ulong budget, CancellationToken cancellationToken)
    {
        try
        {
            if (only is not null)
                RefuseWhileRecorded("Vcpu.Run");
            return RunHeld(only, budget, cancellationToken);
        }
        finally
        {
            _gate.Leave();
        }
    }

    /// <summary>Runs vCPUs for an owner of the machine.</summary>
    internal VcpuExit RunHeld(Vcpu? only, ulong budget, CancellationToken cancellationToken)
    {
        try
        {
            _gate.Adopt();
            if (cancellationToken.IsCancellationRequested)
                return new VcpuExit(ExitReason.Kicked);
            using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
                static m => ((Machine)m!).RequestStop(new VcpuExit(ExitReason.Kicked)), this);
            AttachNext();
            foreach (Vcpu vcpu in _vcpus)
                vcpu.Core.SynchronizeCode();
            if (only is not null)
                return _scheduler.Run(only, budget);
            using Activity? activity = RunActivity.Start(this);
            LogStarted(_logger, Architecture.Name, _vcpus.Length, Engine.Name);
            VcpuExit exit = _scheduler.Run(null, budget);
            LogStopped(_logger, exit.Reason, exit.Code, exit.Detail);
            activity.End(exit);
            return exit;
        }
        finally
        {
            _kicked = false;
        }
    }

    private void OnDeviceFailed(IDevice device, Exception error)
    {
        RequestStop(Failure.Exit("A device failed", device, error));
        LogDeviceFailed(_logger, Failure.NameOf(device), error);
    }

    /// <summary>Whether the current thread is in a call of a device, which holds the device's gate: what waits for the machine's run here waits for itself.</summary>
    private bool HoldsADevice() => !Memory.IsDisposed && Memory.Regions.Concat(Ports?.Regions ?? []).Any(region => region.Device is { } device && Monitor.IsEntered(device));

    /// <summary>Gives everything back. Nobody runs the machine, or it has not been composed: then parts are missing.</summary>
    /// <param name="waits">Whether the clock's thread may be waited for.</param>
    private void Release(bool waits)
    {
        _metrics.Dispose();
        ReleaseRecordings();
        // The clock's thread first: its callbacks raise pins and reach memory.
        _scheduler.Close(waits);
        ReleaseEngines();
        Memory.Release();
        Ports?.Release();
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Architecture} machine with {VcpuCount} vCPU(s) starts on the {Engine}.")]
    private static partial void LogStarted(ILogger logger, string architecture, int vcpuCount, string engine);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Machine stopped: {Reason}, code {Code}. {Detail}")]
    private static partial void LogStopped(ILogger logger, ExitReason reason, ulong code, string? detail);

    [LoggerMessage(Level = LogLevel.Error, Message = "Device {Device} failed.")]
    private static partial void LogDeviceFailed(ILogger logger, string device, Exception error);

    /// <summary>The exit that somebody asked for; a class, so that the first request wins in one exchange.</summary>
    internal sealed record StopRequest(VcpuExit Exit)
    {
        private static readonly StopRequest OutOfMemory = new(Failure.OutOfMemory);

        public static StopRequest Of(VcpuExit exit)
        {
            try
            {
                return new StopRequest(exit);
            }
            catch (OutOfMemoryException)
            {
                return OutOfMemory;
            }
        }
    }
}
