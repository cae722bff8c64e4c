using VirtKit.Engines;
using VirtKit.Telemetry;

namespace VirtKit.Execution;

/// <summary>The CPUs of one machine and what they share, as far as software engines know it. The machine owns it: engines come and go.</summary>
internal abstract class GuestSystem(PartitionContext context) : IDisposable
{
    private readonly List<GuestCpu> _cpus = [];

    public AddressSpace Memory { get; } = context.Memory;

    public MachineClock Clock { get; } = context.Clock;

    public IMachineEvents Events { get; } = context.Events;

    /// <summary>The machine's instruments; <see langword="null"/> where nobody listens.</summary>
    public MachineMetrics? Metrics { get; } = context.Metrics;

    /// <summary>The instructions that the CPUs have.</summary>
    public abstract GuestInstructions Instructions { get; }

    /// <summary>The CPUs that have been made.</summary>
    public IReadOnlyList<GuestCpu> Cpus => _cpus;

    /// <summary>The pages of code whose stores are watched; <see langword="null"/> where the ISA has a fence for changed code.</summary>
    public WatchedCode? Watched { get; private set; }

    /// <summary>The number of code modes (privilege modes): an address space has translations of code for each.</summary>
    public abstract int CodeModes { get; }

    /// <summary>How many address spaces a CPU keeps the translations of.</summary>
    public abstract int Spaces { get; }

    /// <summary>A CPU, which is made when it is asked for the first time: in the order of their numbers.</summary>
    public GuestCpu Cpu(int id)
    {
        if (id == _cpus.Count)
            _cpus.Add(CreateCpu(id));
        if (Watched is null && Instructions.ShowsChangesAtOnce)
        {
            Watched = new WatchedCode(this);
            Memory.Written += Watched.Written;
        }

        return _cpus[id];
    }

    /// <summary>Releases what the CPUs hold. None of them runs.</summary>
    public void Dispose()
    {
        foreach (GuestCpu cpu in _cpus)
            cpu.Dispose();
    }

    /// <param name="id">The CPU's number, from 0.</param>
    protected abstract GuestCpu CreateCpu(int id);
}

/// <summary>A software engine's partition: it runs the CPUs of the machine's system, whatever the ISA, and can be exchanged for another one.</summary>
internal abstract class SoftwarePartition(GuestSystem system) : EnginePartition
{
    public GuestSystem System => system;

    /// <summary>Freezes the translations made so far, for machines that go on from the same state. No vCPU runs.</summary>
    /// <returns>The code, held for the caller; <see langword="null"/> where there is none to share.</returns>
    public virtual SharedCode? ShareCode() => null;

    /// <summary>A partition of the same engine for another machine that runs the same code: both use one set of translations, also while they run. Any thread.</summary>
    /// <param name="other">The other machine's CPUs.</param>
    /// <returns>The partition; <see langword="null"/> where translations cannot be shared.</returns>
    public abstract SoftwarePartition? Sibling(GuestSystem other);

    /// <summary>Uses the frozen translations of another machine, for pages with the same code. No vCPU runs.</summary>
    /// <param name="code">The code, which the caller holds; one that does not fit is left alone.</param>
    public virtual void AdoptCode(SharedCode code) { }
}
