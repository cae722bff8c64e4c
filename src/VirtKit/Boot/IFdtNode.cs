namespace VirtKit.Boot;

/// <summary>The capability of a device to describe itself in a flattened device tree.</summary>
public interface IFdtNode
{
    /// <summary>Writes the device's node, from <see cref="FdtBuilder.BeginNode"/> to <see cref="FdtBuilder.EndNode"/>.</summary>
    /// <param name="fdt">The tree under construction, positioned inside the bus node (two address and two size cells).</param>
    /// <param name="resources">What the board has given the device.</param>
    void Describe(FdtBuilder fdt, FdtResources resources);
}

/// <summary>What a device cannot know about itself and its device-tree node needs.</summary>
/// <param name="Address">The guest physical address of its register window.</param>
/// <param name="InterruptParent">The phandle of the interrupt controller that its line goes to; 0 without one.</param>
/// <param name="Interrupt">The number of the controller's input; 0 without one.</param>
public readonly record struct FdtResources(Gpa Address, uint InterruptParent = 0, uint Interrupt = 0)
{
    /// <summary>The phandle under which other nodes name this one; 0 where none does.</summary>
    public uint Phandle { get; init; }

    /// <summary>The cells of <c>interrupts-extended</c>: a phandle and an input for each line, in the device's order. For devices that drive several parents;
    /// empty otherwise.</summary>
    public ReadOnlyMemory<uint> InterruptsExtended { get; init; }
}
