using VirtKit.State;

namespace VirtKit.Devices.Pc;

/// <summary>The command port of a keyboard controller that has no keyboard and only one output: the processor's reset, which PC software pulses as a last resort.</summary>
/// <remarks>
/// Register map, customarily at port 0x64:
/// <code>
/// 0  STATUS   R  always 0: both buffers are empty
/// 0  COMMAND  W  0xf0 to 0xff pulse the outputs whose bits 3:0 are clear; bit 0 is the reset. Other commands are ignored
/// </code>
/// </remarks>
/// <param name="reset">Called to reset: <see cref="Machine.RequestReset"/>.</param>
public sealed class KeyboardReset(Action reset) : IDevice, ISnapshotable
{
    private readonly Action _reset = reset ?? throw new ArgumentNullException(nameof(reset));

    /// <inheritdoc/>
    public DeviceWindow Window => new("keyboard-reset", 1, AccessWidths.Byte, UndeclaredAccess.Split);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => 0;

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        if ((value & 0xf1) == 0xf0)
            _reset();
    }

    /// <inheritdoc/>
    public void Reset() { }

    /// <summary>Nothing: the device keeps no state.</summary>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Version(1);
    }
}
