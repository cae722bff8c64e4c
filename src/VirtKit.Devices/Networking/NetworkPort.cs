namespace VirtKit.Devices.Networking;

/// <summary>One port of a <see cref="NetworkSwitch"/>, with a queue of frames towards its machine. Thread-safe.</summary>
public sealed class NetworkPort : INetworkBackend, IDisposable
{
    /// <summary>The most frames that wait for the machine; further ones are dropped.</summary>
    public const int QueueLength = 256;

    private const int ShortestFrame = 14;

    private readonly NetworkSwitch _switch;
    private readonly Lock _gate = new();
    private readonly Queue<byte[]> _frames = new();
    private long _dropped;
    private bool _announced;
    private volatile bool _unplugged;

    internal NetworkPort(NetworkSwitch owner) => _switch = owner;

    /// <inheritdoc/>
    public event Action? FrameAvailable;

    /// <inheritdoc/>
    public bool IsConnected => !_unplugged;

    /// <summary>How many frames were dropped because the machine did not take them in time.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> frame)
    {
        if (frame.Length is >= ShortestFrame and <= INetworkBackend.MaximumFrameLength)
            _switch.Forward(this, frame);
    }

    /// <inheritdoc/>
    public bool TryReceive(Span<byte> frame, out int length)
    {
        lock (_gate)
        {
            if (!_frames.TryDequeue(out byte[]? next))
            {
                length = 0;
                return false;
            }

            next.CopyTo(frame);
            length = next.Length;
            return true;
        }
    }

    /// <summary>Unplugs the cable and takes the port off the switch for good.</summary>
    public void Dispose()
    {
        _unplugged = true;
        _switch.Remove(this);
        FrameAvailable?.Invoke();
    }

    internal void Enqueue(byte[] frame)
    {
        lock (_gate)
        {
            if (_frames.Count >= QueueLength)
            {
                Interlocked.Increment(ref _dropped);
                return;
            }

            _frames.Enqueue(frame);
            if (_announced)
                return;
            _announced = true;
        }

        // The sender holds its own interface's gate here: the receiver's may only be taken on another thread.
        ThreadPool.UnsafeQueueUserWorkItem(static port => port.Announce(), this, preferLocal: false);
    }

    private void Announce()
    {
        // TIMING POINT 1: a frame that comes after this announces itself again; one before is seen by the handler.
        lock (_gate)
            _announced = false;
        FrameAvailable?.Invoke();
    }
}
