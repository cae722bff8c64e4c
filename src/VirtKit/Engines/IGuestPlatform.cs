using VirtKit.State;

namespace VirtKit.Engines;

/// <summary>What is alive in a machine of an architecture beside its vCPUs and its devices, and what boards and hosts connect to it. The machine owns it, so that an architecture record
/// stays a value.</summary>
internal interface IGuestPlatform
{
    /// <summary>Releases what it holds. Nothing runs.</summary>
    void Release() { }

    /// <summary>Passes over what devices and vCPUs build on: before both.</summary>
    void Visit(StateVisitor visitor);

    /// <summary>Passes over what builds on the vCPUs: behind them.</summary>
    void VisitChips(StateVisitor visitor, EnginePartition partition) { }

    /// <summary>Whether a device on the bus belongs to what <see cref="VisitChips"/> passes over.</summary>
    bool Holds(IDevice device) => false;

    /// <summary>The state of a vCPU that its engine keeps itself; <see langword="null"/> where it hands out no state of this architecture.</summary>
    ISnapshotable? StateOf(VcpuCore core) => null;
}
