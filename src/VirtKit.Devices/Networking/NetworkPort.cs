using VirtKit.State;

namespace VirtKit.Devices.Networking;

/// <summary>One port of a <see cref="NetworkSwitch"/>, with a queue of frames towards its machine. Thread-safe.</summary>
/// <remarks>
/// One interface at a time is plugged into a port.
/// <see cref="QueueLength"/> frames wait at most (389 KB); when they are full the newest frame is dropped and counted. <see cref="FrameAvailable"/> is raised on the
/// thread pool; a handler that throws ends nothing, and <see cref="Failure"/> tells of it.
/// </remarks>
public sealed class NetworkPort : INetworkBackend, ISnapshotable, IDisposable
{
    /// <summary>The most frames that wait for the machine; further ones are dropped.</summary>
    public const int QueueLength = 256;

    private const int ShortestFrame = 14;

    private readonly NetworkSwitch _switch;
    private readonly Lock _gate = new();
    private readonly Queue<byte[]> _frames = new();
    private long _dropped;
    private Exception? _failure;
    private bool _announced;
    private volatile bool _unplugged;

    internal NetworkPort(NetworkSwitch owner) => _switch = owner;

    /// <inheritdoc/>
    public event Action? FrameAvailable;

    /// <inheritdoc/>
    public bool IsConnected => !_unplugged;

    /// <summary>How many frames were dropped because the machine did not take them in time.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>What a handler of <see cref="FrameAvailable"/> has thrown first; <see langword="null"/> while all is well.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>Sends a frame to the other ports. A frame shorter than 14 bytes or longer than <see cref="INetworkBackend.MaximumFrameLength"/> is dropped, as a
    /// switch does with damaged ones, and so is what an unplugged port sends.</summary>
    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> frame)
    {
        if (frame.Length is >= ShortestFrame and <= INetworkBackend.MaximumFrameLength)
            _switch.Forward(this, frame);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">There is no room for the longest frame.</exception>
    public bool TryReceive(Span<byte> frame, out int length)
    {
        if (frame.Length < INetworkBackend.MaximumFrameLength)
            throw new ArgumentException($"A frame needs room for {INetworkBackend.MaximumFrameLength} bytes.", nameof(frame));
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

    /// <summary>Unplugs the cable and takes the port off the switch for good; frames that wait are lost.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_unplugged)
                return;
            _unplugged = true;
            _frames.Clear();
        }

        _switch.Remove(this);
        Raise();
    }

    /// <summary>Passes over the frames that wait for the machine. What the switch has learned is its own.</summary>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        lock (_gate)
        {
            byte[][] frames = [.. _frames];
            int count = frames.Length;
            visitor.Version(1);
            visitor.Field("frames", ref count);
            visitor.Require(count is >= 0 and <= QueueLength, "frames", $"is {count}, and {QueueLength} fit");
            if (visitor.IsReading)
                frames = new byte[count][];
            for (int i = 0; i < count; i++)
            {
                byte[] frame = frames[i] ?? [];
                visitor.Bytes($"frame{i}", ref frame, INetworkBackend.MaximumFrameLength);
                visitor.Require(frame.Length >= ShortestFrame, $"frame{i}", $"has {frame.Length} bytes");
                frames[i] = frame;
            }

            if (!visitor.IsReading || _unplugged)
                return;
            _frames.Clear();
            foreach (byte[] frame in frames)
                _frames.Enqueue(frame);
        }

        // The interface may have buffers for them; its gate is held here.
        ThreadPool.UnsafeQueueUserWorkItem(static port => port.Announce(), this, preferLocal: false);
    }

    internal void Enqueue(byte[] frame)
    {
        lock (_gate)
        {
            // The switch may have chosen this port just before it was unplugged.
            if (_unplugged)
                return;
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
        Raise();
    }

    private void Raise()
    {
        try
        {
            FrameAvailable?.Invoke();
        }
        catch (Exception e)
        {
            // On the thread pool an exception would end the process.
            Interlocked.CompareExchange(ref _failure, e, null);
        }
    }
}
