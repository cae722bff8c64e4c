namespace VirtKit.Devices.Consoles;

/// <summary>The input half of a <see cref="StreamConsole"/>: the thread that reads the stream, a buffer ahead of the guest.</summary>
internal sealed class StreamConsoleInput
{
    private const int BufferSize = 4096;

    private readonly Stream _stream;
    private readonly Action _arrived;
    private readonly Action<Exception> _failure;
    private readonly object _gate = new();
    private readonly byte[] _buffer = new byte[BufferSize];
    private int _start, _end;
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
            int count = Math.Min(buffer.Length, _end - _start);
            _buffer.AsSpan(_start, count).CopyTo(buffer);
            _start += count;
            if (count > 0 && _start == _end)
                Monitor.PulseAll(_gate);
            return count;
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
            while (_stream.Read(bytes, 0, bytes.Length) is > 0 and int count && TryGive(bytes.AsSpan(0, count)))
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

    /// <summary>Waits until the guest has taken what was there before.</summary>
    private bool TryGive(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            while (_start < _end && !_closed)
                Monitor.Wait(_gate);
            if (_closed)
                return false;
            bytes.CopyTo(_buffer);
            (_start, _end) = (0, bytes.Length);
            return true;
        }
    }
}
