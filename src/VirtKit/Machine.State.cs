using VirtKit.Engines;
using VirtKit.Execution;
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
        if (Context.SystemIfAny is not { } system)
            throw new VirtKitException($"The vCPUs of the engine {Engine.Name} cannot be saved.");
        visitor.Version(1);
        visitor.Part("time", new Passed(_scheduler.VisitTime));
        visitor.Part("system", system);
        foreach (MemoryRegion region in Memory.Regions.Concat(Ports?.Regions ?? []))
        {
            if (region.Device is { } device)
                Visit(visitor, region, device);
        }

        // What devices have set pins to while they were restored is replaced.
        for (int i = 0; i < _vcpus.Length; i++)
            visitor.Part($"vcpu{i}", system.Cpu(i));
        visitor.Part("schedule", new Passed(_scheduler.VisitSchedule));
    }

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
