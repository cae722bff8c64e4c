using VirtKit.State;

namespace VirtKit.Devices.Pc;

/// <summary>The reset control register of PC chip sets, customarily at port 0xcf9.</summary>
/// <remarks>
/// <code>
/// 0  RST_CNT  RW  bit 1 system reset rather than INIT (kept), bit 2 resets when it goes from 0 to 1, bit 3 full reset (kept)
/// </code>
/// Every reset is one of the whole machine.
/// </remarks>
/// <param name="reset">Called to reset: <see cref="Machine.RequestReset"/>.</param>
public sealed class ResetPort(Action reset) : IDevice, ISnapshotable
{
    private const byte ResetCpu = 4, Kept = 0x0e;

    private readonly Action _reset = reset ?? throw new ArgumentNullException(nameof(reset));
    private State _state;

    /// <inheritdoc/>
    public DeviceWindow Window => new("reset", 1, AccessWidths.Byte, UndeclaredAccess.Split);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => _state.Control;

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        bool rises = (value & ~(ulong)_state.Control & ResetCpu) != 0;
        _state.Control = (byte)(value & Kept);
        if (rises)
            _reset();
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
        visitor.Require((state.Control & ~Kept) == 0, "control", "has bits that are not kept");
        if (visitor.IsReading)
            _state = state;
    }

    private struct State
    {
        public byte Control;
    }
}
