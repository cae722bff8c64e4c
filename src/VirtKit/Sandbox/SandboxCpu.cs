using Microsoft.Extensions.Logging.Abstractions;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Memory;
using VirtKit.RiscV;

namespace VirtKit.Sandboxing;

/// <summary>A hart in user mode with its memory, composed of an engine's parts without a machine around them: no devices, no interrupts, nobody else.</summary>
/// <remarks>Used by one thread at a time, but for <see cref="RequestExit"/>.</remarks>
internal sealed unsafe class SandboxCpu : IMachineEvents, IDisposable
{
    private readonly AddressSpace _memory = new();
    private readonly HostMemory _window;
    private readonly PartitionContext _context;
    private readonly SandboxClock _clock = new();
    private readonly SoftwarePartition _partition;
    private readonly SoftwareCore _core;

    /// <param name="engine">What runs it.</param>
    /// <param name="window">Its memory, from address 0 on, which goes over to it.</param>
    /// <param name="code">What translations are shared with, from <see cref="Sibling"/> of a CPU that runs the same code; <see langword="null"/> for nothing.</param>
    /// <param name="gate">Where the host's addresses begin, at which the program leaves.</param>
    public SandboxCpu(ExecutionEngine engine, HostMemory window, ulong gate, SoftwarePartition? code)
    {
        _window = window;
        _memory.Map(window, "sandbox");
        _context = new PartitionContext(Architecture, _memory, null, _clock, this, 1, NullLogger.Instance);
        try
        {
            _partition = code?.Sibling(_context.System) ?? engine.CreatePartition(_context) as SoftwarePartition
                ?? throw new VirtKitException($"The engine {engine.Name} cannot run a sandbox: it is no engine of VirtKit's own.");
            _core = (SoftwareCore)_partition.CreateVcpu(0);
            _core.Attach();
        }
        catch
        {
            Dispose();
            throw;
        }

        Hart = (Hart)_context.System.Cpu(0);
        Hart.SetStops(gate, SandboxLayout.GateLength);
        Space = ((RiscVPlatform)_context.Platform!).User!;
        _clock.Retired = () => Hart.Context->Retired;
    }

    /// <summary>What an engine has to support.</summary>
    public static RiscVArchitecture Architecture { get; } = new() { UserOnly = true };

    public Hart Hart { get; }

    /// <summary>Which pages the program has.</summary>
    public UserSpace Space { get; }

    /// <summary>The first byte of the window.</summary>
    public byte* Memory => _window.Pointer;

    public HostMemory Window => _window;

    /// <summary>Instructions that have retired since the CPU was made.</summary>
    public ulong Retired => Hart.Context->Retired;

    /// <summary>Runs the program until it calls the host, traps, or the budget is used up.</summary>
    public VcpuExit Run(ulong budget) => _core.RunAlone(budget);

    /// <summary>Runs the program as <see cref="Run"/> does, where it soon calls the host or returns to it.</summary>
    /// <returns>Whether it stands at one of the host's addresses; if not, <see cref="Run"/> goes on.</returns>
    public bool TryRunToStop(ulong budget) => _core.TryRunToStop(budget);

    /// <summary>Makes <see cref="Run"/> come back. Any thread.</summary>
    public void RequestExit() => _core.RequestExit();

    /// <summary>The program's time, and its counters, begin anew.</summary>
    public void RestartTime()
    {
        _clock.Start = Retired;
        Hart.RestartCounters();
    }

    /// <summary>A partition without a CPU, which keeps the translations that this one has and makes for others; <see langword="null"/> where they cannot be shared.</summary>
    public SoftwarePartition? Sibling() => _partition.Sibling(_context.System);

    /// <summary>Releases everything. It does not run.</summary>
    public void Dispose()
    {
        _core?.Dispose();
        _partition?.Dispose();
        _context.SystemIfAny?.Dispose();
        _memory.Release();
    }

    void IMachineEvents.RequestStop(VcpuExit exit) { }

    void IMachineEvents.Wake(int vcpu) { }
}
