namespace VirtKit.X86;

/// <summary>The paravirtual clock of a machine (kvmclock), where an engine's partition (<see cref="Machine.Partition"/>) keeps one.</summary>
public interface IX64ParavirtualClock
{
    /// <summary>Its time in nanoseconds. It may be read at any time; the machine is not running while it is set.</summary>
    /// <exception cref="InvalidOperationException">It is set while the machine runs, or while another operation owns the machine.</exception>
    /// <exception cref="ObjectDisposedException">It is set when the machine has been disposed of.</exception>
    /// <exception cref="VirtKitException">The engine refuses.</exception>
    ulong ParavirtualClock { get; set; }
}
