using System.Buffers.Binary;
using VirtKit.Devices.Consoles;
using VirtKit.State;

namespace VirtKit.Devices.Virtio;

/// <summary>A console with one port (virtio-1.2 §5.3). It tells the driver of the terminal's size and takes emergency writes.</summary>
public sealed class VirtioConsole : VirtioDevice, IDisposable
{
    private const int SizeBit = 0, EmergencyWriteBit = 2;
    private const int ReceiveQueue = 0, TransmitQueue = 1;
    private const int EmergencyWriteOffset = 8;

    private readonly IConsoleBackend _console;
    private readonly HostConsole _host;
    private readonly WeakListener<VirtioConsole> _listener;
    private State _state;

    /// <summary>Creates the console.</summary>
    /// <param name="console">The host's end; until the device is disposed of, no other device has it.</param>
    /// <exception cref="ArgumentException">Another device has it.</exception>
    public VirtioConsole(IConsoleBackend console) : base("virtio-console", deviceId: 3, 64, 64)
    {
        ArgumentNullException.ThrowIfNull(console);
        _console = console;
        _host = new HostConsole(console, () => Outside);
        _state.Show(console.Size);
        _listener = new WeakListener<VirtioConsole>(this, static device => device.OnConsoleChanged());
        AttachedBackends.Attach(console, this, nameof(console));
        console.Changed += _listener.OnEvent;
    }

    /// <inheritdoc/>
    public override ulong Features => 1ul << SizeBit | 1ul << EmergencyWriteBit;

    /// <inheritdoc/>
    public override int ConfigurationSize => 12;

    /// <summary>Lets go of the console.</summary>
    public void Dispose()
    {
        _console.Changed -= _listener.OnEvent;
        AttachedBackends.Detach(_console, this);
    }

    /// <inheritdoc/>
    protected internal override void ReadConfiguration(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(destination, _state.Columns);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], _state.Rows);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], 1);
    }

    /// <inheritdoc/>
    protected internal override void WriteConfiguration(int offset, ReadOnlySpan<byte> value)
    {
        if (offset == EmergencyWriteOffset)
            _ = _host.Write(value[..1]);
    }

    /// <inheritdoc/>
    public override void Visit(StateVisitor visitor)
    {
        base.Visit(visitor);
        State state = _state;
        visitor.Field("columns", ref state.Columns);
        visitor.Field("rows", ref state.Rows);
        AttachedBackends.VisitOutside(visitor, "console", _console);
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

    private void OnConsoleChanged()
    {
        ChangeConfiguration();
        Wake(ReceiveQueue);
        Wake(TransmitQueue);
    }

    /// <inheritdoc/>
    protected internal override bool UpdateConfiguration()
    {
        State before = _state;
        _state.Show(_host.Size);
        return (before.Columns, before.Rows) != (_state.Columns, _state.Rows);
    }

    private void Receive(Virtqueue queue)
    {
        while (queue.TryPeek(out DescriptorChain chain))
        {
            uint received = 0;
            foreach (Span<byte> span in chain.Writable)
            {
                int count = _host.Read(span);
                received += (uint)count;
                if (count < span.Length)
                    break;
            }

            // An empty chain is the driver's mistake; it gets it back rather than blocking the queue.
            if (received == 0 && chain.Writable.Length > 0)
                return;
            queue.Complete(received);
        }
    }

    private void Transmit(Virtqueue queue)
    {
        while (queue.TryPeek(out DescriptorChain chain))
        {
            // The driver may have changed the chain since the console took its first part.
            foreach (Span<byte> span in chain.Readable.Slice(Math.Min(queue.Progress, chain.Readable.Length)))
            {
                int taken = _host.Write(span);
                queue.Progress += taken;
                if (taken < span.Length)
                    return;
            }

            queue.Complete(0);
        }
    }

    private struct State
    {
        public ushort Columns, Rows;

        public void Show(ConsoleSize size) => (Columns, Rows) = (size.Columns, size.Rows);
    }
}
