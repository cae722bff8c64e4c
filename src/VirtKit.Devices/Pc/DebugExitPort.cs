using VirtKit.State;

namespace VirtKit.Devices.Pc;

/// <summary>A port through which a bare-metal guest ends the run: what it writes becomes the exit code. Reads give 0.</summary>
/// <param name="shutdown">Called with the written value: <see cref="Machine.RequestShutdown"/>.</param>
public sealed class DebugExitPort(Action<int> shutdown) : IDevice, ISnapshotable
{
    private readonly Action<int> _shutdown = shutdown ?? throw new ArgumentNullException(nameof(shutdown));

    /// <inheritdoc/>
    public DeviceWindow Window => new("debug-exit", 4, AccessWidths.Byte | AccessWidths.HalfWord | AccessWidths.Word, UndeclaredAccess.Split);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => 0;

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        if (offset == 0)
            _shutdown(unchecked((int)value));
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
