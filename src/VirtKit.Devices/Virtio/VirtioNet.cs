using System.Buffers.Binary;
using VirtKit.Devices.Networking;
using VirtKit.State;

namespace VirtKit.Devices.Virtio;

/// <summary>A network interface (virtio-1.2 §5.1) with one pair of queues, a fixed address and a link status; no offloads.</summary>
public sealed class VirtioNet : VirtioDevice, IDisposable
{
    private const int MacBit = 5, StatusBit = 16;
    private const int ReceiveQueue = 0, TransmitQueue = 1;
    private const ushort LinkUp = 1;

    /// <summary>The header before each frame: flags, GSO type, sizes, checksum place, and the number of buffers, which is 1.</summary>
    private const int HeaderSize = 12, BufferCountOffset = 10;

    private readonly INetworkBackend _backend;
    private readonly HostNetwork _host;
    private readonly MacAddress _address;
    private readonly byte[] _frame = new byte[HeaderSize + INetworkBackend.MaximumFrameLength];
    private readonly WeakListener<VirtioNet> _listener;
    private State _state;

    /// <summary>Creates the interface.</summary>
    /// <param name="backend">The far end of the cable; until the interface is disposed of, no other device has it.</param>
    /// <param name="address">The interface's address, different for each on one network; not a group's.</param>
    /// <exception cref="ArgumentException">The address is a group's, or another device has the backend.</exception>
    public VirtioNet(INetworkBackend backend, MacAddress address) : base("virtio-net", deviceId: 1, 256, 256)
    {
        ArgumentNullException.ThrowIfNull(backend);
        if (address.IsGroup)
            throw new ArgumentException($"{address} is a group's address, not an interface's.", nameof(address));
        _backend = backend;
        _host = new HostNetwork(backend, () => Outside);
        _address = address;
        _state.LinkUp = backend.IsConnected;
        _listener = new WeakListener<VirtioNet>(this, static device => device.OnFrameAvailable());
        AttachedBackends.Attach(backend, this, nameof(backend));
        backend.FrameAvailable += _listener.OnEvent;
    }

    /// <inheritdoc/>
    public override ulong Features => 1ul << MacBit | 1ul << StatusBit;

    /// <inheritdoc/>
    public override int ConfigurationSize => 8;

    /// <summary>Lets go of the backend.</summary>
    public void Dispose()
    {
        _backend.FrameAvailable -= _listener.OnEvent;
        AttachedBackends.Detach(_backend, this);
    }

    /// <inheritdoc/>
    protected internal override void ReadConfiguration(Span<byte> destination)
    {
        _address.CopyTo(destination);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], _state.LinkUp ? LinkUp : (ushort)0);
    }

    /// <inheritdoc/>
    public override void Visit(StateVisitor visitor)
    {
        base.Visit(visitor);
        State state = _state;
        visitor.Field("link up", ref state.LinkUp);
        AttachedBackends.VisitOutside(visitor, "cable", _backend);
        if (visitor.IsReading)
            _state = state;
    }

    /// <inheritdoc/>
    protected internal override void Process(int queue)
    {
        if (queue == ReceiveQueue)
            Receive(Queue(ReceiveQueue));
        else
            Transmit(Queue(TransmitQueue));
    }

    private void OnFrameAvailable()
    {
        ChangeConfiguration();
        Wake(ReceiveQueue);
    }

    /// <inheritdoc/>
    protected internal override bool UpdateConfiguration()
    {
        bool before = _state.LinkUp;
        _state.LinkUp = _host.IsConnected;
        return _state.LinkUp != before;
    }

    private void Receive(Virtqueue queue)
    {
        while (queue.TryPeek(out DescriptorChain chain) && _host.TryReceive(_frame.AsSpan(HeaderSize), out int length))
        {
            ReadOnlySpan<byte> whole = _frame.AsSpan(0, HeaderSize + length);
            _frame.AsSpan(0, HeaderSize).Clear();
            _frame[BufferCountOffset] = 1;
            // A buffer too short for the frame goes back empty, and the frame is lost.
            queue.Complete(chain.Writable.Length >= whole.Length ? (uint)chain.Writable.CopyFrom(whole) : 0);
        }
    }

    private void Transmit(Virtqueue queue)
    {
        while (queue.TryPeek(out DescriptorChain chain))
        {
            // Without offloads the header says nothing. What is too long or too short for a frame is dropped, as a wire would.
            int length = chain.Readable.Length <= _frame.Length ? chain.Readable.CopyTo(_frame) - HeaderSize : 0;
            if (length >= 14)
                _host.Send(_frame.AsSpan(HeaderSize, length));
            queue.Complete(0);
        }
    }

    private struct State
    {
        public bool LinkUp;
    }
}
