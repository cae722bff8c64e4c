namespace VirtKit.Devices.Networking;

/// <summary>The far end of a network interface's cable.</summary>
/// <remarks>The interface pulls frames when the guest has room for them; until then they wait in the backend, which bounds its queue and drops what is too many.
/// <see cref="Send"/> and <see cref="TryReceive"/> are called with the interface's gate held and do not block; <see cref="FrameAvailable"/> is raised with no lock
/// held and never from inside them, since two interfaces would otherwise wait for each other.</remarks>
public interface INetworkBackend
{
    /// <summary>The longest Ethernet frame, in bytes: 1500 of payload, a header and a VLAN tag; without the checksum.</summary>
    const int MaximumFrameLength = 1518;

    /// <summary>Whether the cable is plugged in.</summary>
    bool IsConnected { get; }

    /// <summary>Takes a frame from the guest.</summary>
    /// <param name="frame">The frame without its checksum, 14 to <see cref="MaximumFrameLength"/> bytes; valid during the call.</param>
    void Send(ReadOnlySpan<byte> frame);

    /// <summary>Gives the oldest waiting frame to the guest.</summary>
    /// <param name="frame">Where it goes, <see cref="MaximumFrameLength"/> bytes.</param>
    /// <param name="length">The frame's length, up to <see cref="MaximumFrameLength"/>.</param>
    /// <returns>Whether there was one.</returns>
    bool TryReceive(Span<byte> frame, out int length);

    /// <summary>A frame waits, or the cable was plugged in or out.</summary>
    event Action? FrameAvailable;
}
