using VirtKit.Engines;
using VirtKit.State;

namespace VirtKit;

/// <summary>The state of a machine but for its memory: the parts in an order in which each finds what it builds on.</summary>
public sealed partial class Machine
{
    /// <summary>Passes over the state of everything but memory. The machine stands.</summary>
    /// <exception cref="InvalidSnapshotException">What is read is not of a machine composed as this one. Parts before the one that is named have changed.</exception>
    /// <exception cref="VirtKitException">A part cannot be saved: the message names it.</exception>
    internal void Visit(StateVisitor visitor)
    {
        using MachineHold hold = Hold("Machine.Visit");
        _gate.Lend();
        try
        {
            VisitParts(visitor);
        }
        finally
        {
            _gate.TakeBack();
        }
    }

    private void VisitParts(StateVisitor visitor)
    {
        _scheduler.Drain();
        visitor.Version(1);
        visitor.Part("time", new Passed(_scheduler.VisitTime));
        IGuestPlatform? platform = Context.Platform;
        if (platform is not null)
            visitor.Part("platform", new Passed(platform.Visit));
        foreach (MemoryRegion region in Memory.Regions.Concat(Ports?.Regions ?? []))
        {
            if (region.Device is { } device && platform?.Holds(device) != true)
                Visit(visitor, region, device);
        }

        // What devices have set pins to while they were restored is replaced.
        if (_attached.IsSoftware)
            VisitVcpus(visitor);
        visitor.Part("schedule", new Passed(_scheduler.VisitSchedule));
        // The interrupt chips of an engine have no timers of ours: where models take their state, they set theirs anew.
        if (!_attached.IsSoftware)
            VisitVcpus(visitor);
    }

    /// <summary>Passes over the vCPUs, and what the guest's chips hold of their interrupts.</summary>
    private void VisitVcpus(StateVisitor visitor)
    {
        for (int i = 0; i < _vcpus.Length; i++)
            visitor.Part($"vcpu{i}", StateOf(_attached.Cores[i], i));
        Context.Platform?.VisitChips(visitor, Partition);
    }

    /// <summary>The state of a vCPU: the machine's own CPU's, or what the engine that keeps it hands out.</summary>
    private ISnapshotable StateOf(VcpuCore core, int index) => Context.SystemIfAny?.Cpu(index) ?? Context.Platform?.StateOf(core)
        ?? throw new VirtKitException($"The vCPUs of the engine {Engine.Name} cannot be saved: it hands out no state of {Architecture.Name}.");

    private static void Visit(StateVisitor visitor, MemoryRegion region, IDevice device)
    {
        if (device is not ISnapshotable snapshotable)
            throw new VirtKitException($"The device {device.Window.Name} at {region.Start} cannot be saved: it is no {nameof(ISnapshotable)}.");
        lock (device)
            visitor.Part($"{device.Window.Name} {region.Start}", snapshotable);
    }

    /// <summary>A part that has no object of its own.</summary>
    private sealed class Passed(Action<StateVisitor> visit) : ISnapshotable
    {
        public void Visit(StateVisitor visitor) => visit(visitor);
    }
}
