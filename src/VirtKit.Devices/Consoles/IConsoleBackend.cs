namespace VirtKit.Devices.Consoles;

/// <summary>The host's end of a serial line or virtio console: a terminal, a recording, a socket.</summary>
/// <remarks>
/// The device pulls: it takes input only when it has room, and it keeps output that is not taken, so both directions have flow control and nothing grows.
/// <see cref="Write"/> and <see cref="Read"/> are called with the device's gate held, from vCPU threads and from the thread that raised <see cref="Changed"/>:
/// a vCPU waits for them, so each returns within 100 ms, whatever the host's side does. A backend that cannot take output takes less of it, 0 bytes where
/// there is no room at all, and raises <see cref="Changed"/> later. <see cref="Changed"/> is raised with no lock held.
/// </remarks>
public interface IConsoleBackend
{
    /// <summary>Takes bytes from the guest.</summary>
    /// <param name="bytes">What the guest wrote; valid during the call.</param>
    /// <returns>How many bytes were taken, from 0 to all, the first ones. After fewer than all, <see cref="Changed"/> follows when there is room again.</returns>
    int Write(ReadOnlySpan<byte> bytes);

    /// <summary>Gives input to the guest, without waiting for it.</summary>
    /// <param name="buffer">Where the bytes go; at least one byte long.</param>
    /// <returns>How many bytes were given; 0 when there are none now.</returns>
    int Read(Span<byte> buffer);

    /// <summary>The terminal's size, or the default value where it is unknown.</summary>
    ConsoleSize Size { get; }

    /// <summary>There is more input, more room for output, or another size. Raised on any thread, but not from inside <see cref="Write"/> or <see cref="Read"/>.</summary>
    event Action? Changed;
}

/// <summary>The size of a terminal in characters.</summary>
/// <param name="Columns">Columns, 0 for unknown.</param>
/// <param name="Rows">Rows, 0 for unknown.</param>
public readonly record struct ConsoleSize(ushort Columns, ushort Rows);
