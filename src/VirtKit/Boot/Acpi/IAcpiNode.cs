namespace VirtKit.Boot.Acpi;

/// <summary>The capability of a device to describe itself in a DSDT.</summary>
public interface IAcpiNode
{
    /// <summary>Writes the device's object, from <see cref="AmlBuilder.BeginDevice(AcpiResources, string, AcpiTrigger)"/> to <see cref="AmlBuilder.End"/>.</summary>
    /// <param name="aml">The code under construction, positioned inside the scope <c>_SB_</c>.</param>
    /// <param name="resources">What the board has given the device.</param>
    void Describe(AmlBuilder aml, AcpiResources resources);
}

/// <summary>What a device cannot know about itself and its ACPI object needs.</summary>
/// <param name="Name">The object's name: four characters, the board's only one.</param>
/// <param name="UniqueId">The number that tells devices of one hardware ID apart, <c>_UID</c>.</param>
/// <param name="Registers">Its register window, memory or ports.</param>
/// <param name="Interrupts">The global system interrupts that its lines are, in the device's order.</param>
public sealed record AcpiResources(string Name, uint UniqueId, AmlResources Registers, IReadOnlyList<uint> Interrupts)
{
    /// <summary>The address of its register window, for a device that names it outside of its resources: a port in port space.</summary>
    public Gpa Address { get; init; }
}
