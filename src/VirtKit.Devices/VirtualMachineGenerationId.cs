using System.Buffers.Binary;
using VirtKit.Boot;
using VirtKit.Boot.Acpi;
using VirtKit.Devices.Virtio;
using VirtKit.State;

namespace VirtKit.Devices;

/// <summary>The virtual machine generation ID: 16 random bytes that change when a guest goes on as a copy of what it was, so that it makes its secrets anew (Microsoft, "Virtual Machine
/// Generation ID", 1 August 2012; device tree binding <c>microsoft,vmgenid</c>). Linux mixes it into its random numbers, and says <c>crng reseeded due to virtual machine fork</c>.</summary>
/// <remarks>
/// Register map (any width):
/// <code>
/// 0x000  ID  R  16 bytes, a GUID with its first three fields in little endian
/// 0x010  -   R  0, up to the end of the page
/// </code>
/// Stores are ignored. A new ID is there before the line is pulsed: an edge that a level-triggered gateway latches too, so that the guest acknowledges nothing. A guest that has not read the ID
/// since it began has nothing to renew, and gets no interrupt that it may not expect. A reset of the machine leaves the ID as it is, as the guest has not been copied.
/// Its ACPI object has the hardware ID <c>VKIT0001</c>, the compatible ID <c>VM_Gen_Counter</c>, <c>ADDR</c>, and a generic event device (ACPI 6.4 §5.6.9) that notifies it with 0x80.
/// </remarks>
public sealed class VirtualMachineGenerationId : IDevice, IFdtNode, IAcpiNode, ISnapshotable, IRestoreObserver
{
    /// <summary>The length of the ID in bytes.</summary>
    public const int Size = 16;

    private const byte HasChanged = 0x80;

    // Wiring.
    private readonly InterruptLine _line;

    // Configuration.
    private readonly EntropySource? _renewal;

    // Guest-visible state.
    private State _state;

    /// <summary>Creates the device.</summary>
    /// <param name="id">The first ID, random.</param>
    /// <param name="line">Pulsed when an ID has changed that the guest has read: an edge-triggered input, or one of a controller whose gateway latches.</param>
    /// <param name="renewal">Makes the 16 bytes of the next ID at each restore; <see langword="null"/> for the ID that was captured, and no interrupt.</param>
    public VirtualMachineGenerationId(Guid id, InterruptLine line, EntropySource? renewal)
    {
        (_line, _renewal) = (line, renewal);
        Span<byte> bytes = stackalloc byte[Size];
        id.TryWriteBytes(bytes);
        Set(bytes);
    }

    // NOTE(design): the guest may map a page of ROM or a device's window cacheable alike (the specification allows either), but of ROM nobody sees that it has been read.
    /// <inheritdoc/>
    public DeviceWindow Window => new("generation-id", AddressSpace.PageSize, AccessWidths.Any, UndeclaredAccess.Split);

    /// <summary>The ID that the guest has. Any thread.</summary>
    public Guid Id
    {
        get
        {
            Span<byte> bytes = stackalloc byte[Size];
            lock (this)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(bytes, _state.Low);
                BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], _state.High);
            }

            return new Guid(bytes);
        }
    }

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        if (offset >= Size)
            return 0;
        _state.IsKnown = true;
        return (offset < 8 ? _state.Low : _state.High) >> (int)(offset % 8 * 8);
    }

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value) { }

    /// <inheritdoc/>
    public void Reset() => _state.IsKnown = false;

    /// <inheritdoc/>
    public void OnRestored()
    {
        if (_renewal is null)
            return;
        Span<byte> next = stackalloc byte[Size];
        _renewal(next);
        Set(next);
        if (!_state.IsKnown)
            return;
        _line.Set(true);
        _line.Set(false);
    }

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State state = _state;
        visitor.Version(1);
        visitor.Field("low", ref state.Low);
        visitor.Field("high", ref state.High);
        visitor.Field("known", ref state.IsKnown);
        if (visitor.IsReading)
            _state = state;
    }

    /// <inheritdoc/>
    public void Describe(FdtBuilder fdt, FdtResources resources) => fdt.BeginDevice("rng", Window.Size, resources, "microsoft,vmgenid").EndNode();

    /// <inheritdoc/>
    public void Describe(AmlBuilder aml, AcpiResources resources)
    {
        ArgumentNullException.ThrowIfNull(aml);
        ArgumentNullException.ThrowIfNull(resources);
        aml.BeginDevice(resources.Name).Name("_HID", "VKIT0001").Name("_CID", "VM_Gen_Counter").Name("_DDN", "VM_Gen_Counter").Name("_UID", resources.UniqueId);
        aml.NamePackage("ADDR", (uint)resources.Address.Value, (uint)(resources.Address.Value >> 32));
        var events = new AmlResources();
        foreach (uint interrupt in resources.Interrupts)
            events.Interrupt(interrupt, AcpiTrigger.Edge);
        aml.BeginDevice("GED_").Name("_HID", "ACPI0013").Name("_UID", resources.UniqueId).NameResources(events);
        aml.BeginMethod("_EVT", arguments: 1).Notify(resources.Name, HasChanged).End().End().End();
    }

    private void Set(ReadOnlySpan<byte> id) => (_state.Low, _state.High) = (BinaryPrimitives.ReadUInt64LittleEndian(id), BinaryPrimitives.ReadUInt64LittleEndian(id[8..]));

    private struct State
    {
        public ulong Low;
        public ulong High;

        /// <summary>Whether the guest has read the ID since it began.</summary>
        public bool IsKnown;
    }
}
