using VirtKit.Boot;
using VirtKit.Boot.Acpi;
using VirtKit.Devices.Boards;

namespace VirtKit.Tests.Devices.Support;

/// <summary>A device as a user of the library writes one: a register of four bytes, lines, and descriptions for both kinds of board.</summary>
internal sealed class ProbeDevice(ulong size = 8, params InterruptLine[] lines) : IDevice, IFdtNode, IAcpiNode, IDisposable
{
    private uint _value;

    public bool IsDisposed { get; private set; }

    public IReadOnlyList<InterruptLine> Lines => lines;

    public DeviceWindow Window => new("probe", size, AccessWidths.Word);

    /// <summary>A probe with so many interrupts, the next free ones.</summary>
    public static BoardDevice OnBoard(int interrupts = 1, ulong size = 8) =>
        new(slot => new ProbeDevice(size, [.. Enumerable.Range(0, interrupts).Select(_ => slot.TakeInterrupt())]));

    public ulong Read(ulong offset, int size) => _value;

    public void Write(ulong offset, int size, ulong value) => _value = (uint)value;

    public void Reset() => _value = 0;

    public void Describe(FdtBuilder fdt, FdtResources resources) => fdt.BeginDevice("probe", size, resources, "example,probe").EndNode();

    public void Describe(AmlBuilder aml, AcpiResources resources) => aml.BeginDevice(resources, "PRP0001", AcpiTrigger.Level).NameCompatible("example,probe").End();

    public void Dispose() => IsDisposed = true;
}
