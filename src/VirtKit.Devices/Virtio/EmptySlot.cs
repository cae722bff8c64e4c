namespace VirtKit.Devices.Virtio;

/// <summary>Nothing: a transport in front of it reads device ID 0, which drivers pass over (virtio-1.2 §4.2.3.1).</summary>
public sealed class EmptySlot() : VirtioDevice("virtio-empty", deviceId: 0)
{
    /// <inheritdoc/>
    protected internal override void Process(int queue) { }
}
