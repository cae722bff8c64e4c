using VirtKit.State;

namespace VirtKit.Devices.Pc;

/// <summary>The sleep registers of a hardware-reduced ACPI platform (ACPI 6.4 §4.8.3.7), for power-off.</summary>
/// <remarks>
/// <code>
/// 0  SLEEP_CONTROL  RW  4:2 SLP_TYP (kept), 5 SLP_EN (W): with type 5 the machine powers off, other types do nothing
/// 1  SLEEP_STATUS   RW  7 WAK_STS, never set: the machine does not sleep
/// </code>
/// </remarks>
/// <param name="shutdown">Called with 0 at power-off: <see cref="Machine.RequestShutdown"/>.</param>
public sealed class AcpiSleep(Action<int> shutdown) : IDevice, ISnapshotable
{
    /// <summary>The value of SLP_TYP that powers off, for the DSDT's <c>\_S5</c>.</summary>
    public const byte PowerOffType = 5;

    private const byte TypeMask = 0x1c, Enable = 0x20;

    private readonly Action<int> _shutdown = shutdown ?? throw new ArgumentNullException(nameof(shutdown));
    private State _state;

    /// <inheritdoc/>
    public DeviceWindow Window => new("acpi-sleep", 2, AccessWidths.Byte, UndeclaredAccess.Split);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => offset == 0 ? _state.Control : 0u;

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        if (offset != 0)
            return;
        _state.Control = (byte)(value & TypeMask);
        if ((value & Enable) != 0 && _state.Control >> 2 == PowerOffType)
            _shutdown(0);
    }

    /// <inheritdoc/>
    public void Reset() => _state = default;

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State state = _state;
        visitor.Version(1);
        visitor.Field("control", ref state.Control);
        visitor.Require((state.Control & ~TypeMask) == 0, "control", "has bits that are not kept");
        if (visitor.IsReading)
            _state = state;
    }

    private struct State
    {
        public byte Control;
    }
}
