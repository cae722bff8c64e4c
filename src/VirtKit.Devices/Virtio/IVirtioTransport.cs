namespace VirtKit.Devices.Virtio;

/// <summary>What a virtio device knows of its transport, whichever that is (virtio-1.2 §4): memory-mapped registers, or functions of a PCI bus.</summary>
internal interface IVirtioTransport
{
    /// <summary>The features that the driver has accepted; 0 before it has said so. Under the gate.</summary>
    ulong NegotiatedFeatures { get; }

    /// <summary>Whether the device is free for another transport, and what its backend says is nothing to this one.</summary>
    bool IsDisposed { get; }

    /// <summary>Where what the device learns from outside enters the machine. Under the gate.</summary>
    MachineInput Outside { get; }

    /// <summary>One of the device's queues, by its index. Under the gate.</summary>
    Virtqueue Queue(int index);

    /// <summary>Lets the device process a queue between two slices of the machine. Any thread.</summary>
    void Wake(int queue);

    /// <summary>Lets <see cref="VirtioDevice.UpdateConfiguration"/> run between two slices of the machine. Any thread.</summary>
    void ChangeConfiguration();
}
