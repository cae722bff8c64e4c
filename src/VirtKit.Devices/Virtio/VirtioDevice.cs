using VirtKit.State;

namespace VirtKit.Devices.Virtio;

/// <summary>A virtio device without its transport: what it is, its configuration space and what it does with its queues (virtio-1.2 §2).</summary>
/// <remarks>The transport is the gate: it is held around every <c>protected internal</c> call. <see cref="Wake"/> and <see cref="ChangeConfiguration"/>
/// are for any thread and take it.</remarks>
public abstract class VirtioDevice : ISnapshotable
{
    private IVirtioTransport? _transport;

    /// <summary>Describes the device.</summary>
    /// <param name="name">A short lower-case name for logs.</param>
    /// <param name="deviceId">The device type (virtio-1.2 §5), 0 for none.</param>
    /// <param name="queueSizes">The most entries of each queue: powers of two up to 32768.</param>
    protected VirtioDevice(string name, uint deviceId, params int[] queueSizes)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(queueSizes);
        foreach (int size in queueSizes)
        {
            if (size is < 1 or > 32768 || (size & (size - 1)) != 0)
                throw new ArgumentOutOfRangeException(nameof(queueSizes), size, "A queue's size is a power of two up to 32768.");
        }

        Name = name;
        DeviceId = deviceId;
        QueueSizes = queueSizes;
    }

    /// <summary>A short lower-case name for logs.</summary>
    public string Name { get; }

    /// <summary>The device type (virtio-1.2 §5).</summary>
    public uint DeviceId { get; }

    /// <summary>The most entries of each queue.</summary>
    public IReadOnlyList<int> QueueSizes { get; }

    /// <summary>The device-specific feature bits that it offers, 0 to 23; the transport adds those of queues and transport. Constant.</summary>
    public virtual ulong Features => 0;

    /// <summary>The length of the configuration space in bytes, 0 to 3840. Constant.</summary>
    public virtual int ConfigurationSize => 0;

    /// <summary>Writes the configuration space as the driver reads it, little-endian. What it shows changes inside <see cref="UpdateConfiguration"/> only: a value that is
    /// asked of a backend here would be visible before the generation counts.</summary>
    /// <param name="destination"><see cref="ConfigurationSize"/> bytes, zeroed.</param>
    protected internal virtual void ReadConfiguration(Span<byte> destination) { }

    /// <summary>The driver wrote into the configuration space.</summary>
    /// <param name="offset">Where, in bytes.</param>
    /// <param name="value">The 1, 2, 4 or 8 bytes, which lie inside the space.</param>
    protected internal virtual void WriteConfiguration(int offset, ReadOnlySpan<byte> value) { }

    /// <summary>Changes what the configuration space shows to what outside is now. The transport counts the space's generation and interrupts the driver, in one step for
    /// the driver (virtio-1.2 §2.5): who reads the generation, the space and the same generation again has read a space of one moment.</summary>
    /// <returns>Whether something has changed.</returns>
    protected internal virtual bool UpdateConfiguration() => false;

    /// <summary>Does what there is to do on a queue: the driver has notified, the device was woken, or its last turn was cut short.</summary>
    /// <param name="queue">The queue's index.</param>
    protected internal abstract void Process(int queue);

    /// <summary>Forgets everything about the driver.</summary>
    protected internal virtual void Reset() { }

    /// <summary>Passes over what the driver can see of the device beyond its queues, which are the transport's: nothing, unless overridden. Under the gate.</summary>
    public virtual void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Version(1);
    }

    /// <summary>One of the device's queues. The device is attached to a transport.</summary>
    /// <param name="index">0 to the number of queues - 1.</param>
    protected Virtqueue Queue(int index) =>
        _transport?.Queue(index) ?? throw NotAttached();

    /// <summary>Whether the driver has accepted a feature.</summary>
    /// <param name="bit">The feature bit, 0 to 63.</param>
    protected bool IsNegotiated(int bit) => _transport is { } transport && (transport.NegotiatedFeatures >> bit & 1) != 0;

    /// <summary>Lets <see cref="Process"/> run for a queue because something changed on the host's side: between two slices of the machine, once however
    /// often it is called before. Any thread.</summary>
    /// <param name="queue">The queue's index.</param>
    protected void Wake(int queue) => _transport?.Wake(queue);

    /// <summary>Lets <see cref="UpdateConfiguration"/> run because something changed on the host's side: between two slices of the machine, once however often it is called
    /// before. Any thread.</summary>
    protected void ChangeConfiguration() => _transport?.ChangeConfiguration();

    /// <summary>Where what the device learns from outside enters its machine, and its recordings. Under the gate; the device is attached to a transport.</summary>
    protected MachineInput Outside => _transport?.Outside ?? throw NotAttached();

    private InvalidOperationException NotAttached() => new($"{Name} is not attached to a transport.");

    internal void Attach(IVirtioTransport transport)
    {
        IVirtioTransport? before = _transport;
        if (before is { IsDisposed: false } || Interlocked.CompareExchange(ref _transport, transport, before) != before)
            throw new InvalidOperationException($"{Name} is attached to a transport already.");
    }
}
