using Microsoft.Extensions.Logging;
using VirtKit.Execution;
using VirtKit.Telemetry;

namespace VirtKit.Engines;

/// <summary>The first tier of the engine SPI: a way to run guest code, and what it supports. Stateless and thread-safe; one instance serves many machines.</summary>
public abstract class ExecutionEngine
{
    /// <summary>The engine's name as options spell it: <c>interpreter</c>, <c>translator</c>, <c>kvm</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Whether its cores count the instructions that they retire and stop exactly at a budget, as <see cref="VcpuScheduling.Deterministic"/> demands;
    /// <see langword="true"/> unless overridden. Constant.</summary>
    public virtual bool CountsInstructions => true;

    /// <summary>Whether the engine can run this architecture on this host, now.</summary>
    /// <param name="architecture">The guest architecture with its configuration.</param>
    /// <param name="reason">Why not, for people; <see langword="null"/> where it can.</param>
    public abstract bool Supports(GuestArchitecture architecture, out string? reason);

    /// <summary>Creates what the engine keeps once per machine.</summary>
    /// <param name="context">The machine's parts that an engine may use. They outlive the partition.</param>
    /// <exception cref="VirtKitException">The engine cannot run here; the message is the reason that <see cref="Supports"/> gives.</exception>
    public abstract EnginePartition CreatePartition(PartitionContext context);
}

/// <summary>What a machine hands to an engine's partition.</summary>
/// <param name="Architecture">The guest architecture with its configuration.</param>
/// <param name="Memory">Guest memory and memory-mapped devices.</param>
/// <param name="Ports">Port space, on architectures that have one.</param>
/// <param name="Clock">The machine's time.</param>
/// <param name="Events">Where a core reports what concerns the whole machine.</param>
/// <param name="VcpuCount">How many vCPUs will be created, at least 1.</param>
/// <param name="Logger">The machine's logger.</param>
public sealed record PartitionContext(
    GuestArchitecture Architecture,
    AddressSpace Memory,
    AddressSpace? Ports,
    MachineClock Clock,
    IMachineEvents Events,
    int VcpuCount,
    ILogger Logger)
{
    /// <summary>The machine's CPUs, for software engines: the same for all of them, and released by the machine. Made when the first one asks, in the machine's constructor.</summary>
    /// <exception cref="VirtKitException">There is no definition of the architecture's instructions.</exception>
    internal GuestSystem System => SystemIfAny ??= Architecture.CreateSystem(this);

    /// <summary><see cref="System"/>, if an engine has asked for it.</summary>
    internal GuestSystem? SystemIfAny { get; private set; }

    /// <summary>What boards and hosts connect to; <see langword="null"/> where the architecture has no such thing. Made when the first one asks.</summary>
    internal IGuestPlatform? Platform => PlatformIfAny ??= Architecture.CreatePlatform(this);

    /// <summary><see cref="Platform"/>, if somebody has asked for it.</summary>
    internal IGuestPlatform? PlatformIfAny { get; private set; }

    /// <summary>Where our own engines show what they measure; <see langword="null"/> where nobody collects. Engines of others have meters of their own.</summary>
    internal MachineMetrics? Metrics { get; init; }
}

/// <summary>What a guest can ask of the machine as a whole. Callable from any thread; never blocks.</summary>
public interface IMachineEvents
{
    /// <summary>Stops the machine with this exit. The first request since the last start wins.</summary>
    void RequestStop(VcpuExit exit);

    /// <summary>Who answers hypercalls now; <see langword="null"/> where each is an exit.</summary>
    IHypercallHandler? Hypercalls => null;

    /// <summary>Tells the scheduler that a vCPU may have work although it was halted (an interrupt, a start by another vCPU).</summary>
    /// <param name="vcpu">The vCPU's index, from 0.</param>
    void Wake(int vcpu);
}

/// <summary>The second tier of the engine SPI: what an engine keeps once per machine (memory slots, a code cache, a kernel handle).</summary>
public abstract class EnginePartition : IDisposable
{
    /// <summary>The machine's gate, once the machine has the partition.</summary>
    internal Scheduling.MachineGate? Gate { get; set; }

    /// <summary>Creates the core of one vCPU. Called once for each index, in order, from the thread that constructs the machine.</summary>
    /// <param name="index">The vCPU's index, from 0; on RISC-V also its hart ID, on x86 its APIC ID.</param>
    public abstract VcpuCore CreateVcpu(int index);

    /// <summary>Releases what the partition holds. All its cores have been disposed before.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>The machine is about to go on, in the host's time, after it has stood still: an engine whose guest has clocks of its own adjusts them. No vCPU runs.</summary>
    /// <param name="stood">For how long no vCPU ran.</param>
    /// <param name="timeHeld">Whether the guest's time stands where it stood then; otherwise it has run on, and the guest sees a jump.</param>
    protected internal virtual void GoOn(TimeSpan stood, bool timeHeld) { }

    /// <summary>Takes the machine for an operation that needs it stopped, until the result is disposed of.</summary>
    /// <param name="operation">The operation's name, for the refusal that others get meanwhile.</param>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    protected MachineHold HoldMachine(string operation) => new(Gate, operation);

    /// <summary>Releases what the partition holds; called at most once with <see langword="true"/>.</summary>
    protected virtual void Dispose(bool disposing) { }
}
