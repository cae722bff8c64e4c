using VirtKit.Engines;
using VirtKit.Telemetry;

namespace VirtKit.Execution;

/// <summary>What the CPUs of one machine share, as far as software engines know it. An engine's partition owns it.</summary>
internal abstract class GuestSystem(PartitionContext context)
{
    public AddressSpace Memory { get; } = context.Memory;

    public MachineClock Clock { get; } = context.Clock;

    public IMachineEvents Events { get; } = context.Events;

    /// <summary>Where an engine shows what it measures; <see langword="null"/> where nobody collects.</summary>
    public MachineMetrics? Metrics { get; } = context.Metrics;

    /// <summary>The instructions that the CPUs have.</summary>
    public abstract GuestInstructions Instructions { get; }

    /// <summary>How many kinds of translations of code an address space has: privilege modes.</summary>
    public abstract int CodeModes { get; }

    /// <summary>How many address spaces a CPU keeps the translations of.</summary>
    public abstract int Spaces { get; }

    /// <param name="id">The CPU's number, from 0.</param>
    /// <param name="size">The engine's part of its native memory.</param>
    /// <param name="engine">Who runs it. It may be called before this returns.</param>
    public abstract GuestCpu CreateCpu(int id, ContextSize size, ICpuEngine engine);
}

/// <summary>A software engine's partition: the machine's system, whatever the ISA.</summary>
internal abstract class SoftwarePartition(GuestSystem system) : EnginePartition
{
    public GuestSystem System => system;
}
