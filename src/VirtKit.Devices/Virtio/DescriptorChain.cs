namespace VirtKit.Devices.Virtio;

/// <summary>One request of the driver: what the device reads, then what it writes (virtio-1.2 §2.6).</summary>
/// <remarks>Valid until it is completed or its queue is peeked again.</remarks>
public readonly ref struct DescriptorChain
{
    internal DescriptorChain(GuestBuffer readable, GuestBuffer writable)
    {
        Readable = readable;
        Writable = writable;
    }

    /// <summary>What the driver gives to the device.</summary>
    public GuestBuffer Readable { get; }

    /// <summary>Where the device answers.</summary>
    public GuestBuffer Writable { get; }
}
