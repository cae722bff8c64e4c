using VirtKit.Execution;

namespace VirtKit;

/// <summary>A guest instruction set architecture and its configuration. Engines look at the type to decide whether they can run it; each ISA folder has one.</summary>
public abstract record GuestArchitecture
{
    /// <summary>The architecture's name, <c>riscv64</c>, <c>x86_64</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Whether the architecture has an I/O port space beside memory, so that the machine gets <see cref="Machine.Ports"/>.</summary>
    public virtual bool HasPorts => false;

    /// <summary>Why a software engine cannot run it, as an engine says it; <see langword="null"/> where it can.</summary>
    internal virtual string? SoftwareObjection => $"there is no definition of the instructions of {Name}.";

    /// <summary>What a machine's state depends on, as text: a snapshot fits no machine where it differs.</summary>
    internal virtual string Identity => Name;

    /// <summary>What is alive in a machine beside its vCPUs and devices; <see langword="null"/> where nothing is.</summary>
    internal virtual Engines.IGuestPlatform? CreatePlatform(Engines.PartitionContext context) => null;

    /// <summary>What the CPUs of a machine share, for a software engine. Where there is no <see cref="SoftwareObjection"/>.</summary>
    internal virtual GuestSystem CreateSystem(Engines.PartitionContext context) => throw new VirtKitException(SoftwareObjection!);
}
