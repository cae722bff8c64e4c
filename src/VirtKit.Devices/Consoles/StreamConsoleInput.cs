using VirtKit.State;

namespace VirtKit.Devices.Consoles;

/// <summary>The input half of a <see cref="StreamConsole"/>: the thread that reads the stream, up to a buffer ahead of the guest. A stream that acts on what is
/// read (an escape key that ends the machine) still sees it when the guest reads nothing any more.</summary>
internal sealed class StreamConsoleInput
{
    private const int BufferSize = 4096;

    private readonly Stream _stream;
    private readonly Action _arrived;
    private readonly Action<Exception> _failure;
    private readonly object _gate = new();
    private readonly ConsoleBuffer _buffer = new(BufferSize);
    private bool _closed;

    public StreamConsoleInput(Stream stream, Action arrived, Action<Exception> failure)
    {
        _stream = stream;
        _arrived = arrived;
        _failure = failure;
        ConsoleThread.Start(Pump, "VirtKit console input");
    }

    /// <summary>Gives what is there, without waiting.</summary>
    public int Read(Span<byte> buffer)
    {
        lock (_gate)
        {
            int count = Math.Min(buffer.Length, _buffer.Count);
            _buffer.Bytes[..count].CopyTo(buffer);
            _buffer.Drop(count);
            if (count > 0)
                Monitor.PulseAll(_gate);
            return count;
        }
    }

    /// <summary>Passes over what the guest has not read.</summary>
    public void Visit(StateVisitor visitor)
    {
        lock (_gate)
        {
            _buffer.Visit(visitor);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Lets the thread end when its read comes back.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
        }
    }

    private void Pump()
    {
        byte[] bytes = new byte[BufferSize];
        try
        {
            while (WaitForRoom() is > 0 and int room && _stream.Read(bytes, 0, room) is > 0 and int count && TryGive(bytes.AsSpan(0, count)))
                _arrived();
        }
        catch (Exception e)
        {
            lock (_gate)
            {
                if (_closed)
                    return;
            }

            _failure(e);
        }
    }

    /// <summary>Waits until the guest has taken some of a full buffer.</summary>
    /// <returns>How many bytes there is room for; 0 at the end.</returns>
    private int WaitForRoom()
    {
        lock (_gate)
        {
            while (_buffer.Room == 0 && !_closed)
                Monitor.Wait(_gate);
            return _closed ? 0 : _buffer.Room;
        }
    }

    private bool TryGive(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            if (_closed)
                return false;
            _buffer.Append(bytes);
            return true;
        }
    }
}
