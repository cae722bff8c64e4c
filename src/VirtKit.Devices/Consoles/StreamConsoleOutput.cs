namespace VirtKit.Devices.Consoles;

/// <summary>The output half of a <see cref="StreamConsole"/>: a bounded buffer, and the thread that takes it to the stream.</summary>
internal sealed class StreamConsoleOutput
{
    /// <summary>The most bytes of one write to the stream: small enough to see whether a slow stream moves.</summary>
    private const int PieceSize = 4096;

    /// <summary>How long a guest's write waits for a stream that moves.</summary>
    private const int PatienceMilliseconds = 50;

    private readonly Stream _stream;
    private readonly int _capacity;
    private readonly ConsoleOverflow _overflow;
    private readonly Action _roomAgain;
    private readonly Action<Exception> _failure;
    private readonly object _gate = new();
    private readonly ConsoleBuffer _buffer;

    // The thread sleeps; it is inside a call of the stream; how many such calls it has begun.
    private bool _idle, _writing;
    private long _pieces;

    // A write got less than it asked for; a write has waited in vain, and no other one waits before the buffer is half empty.
    private bool _refused, _stalled;
    private bool _closed, _failed;
    private long _dropped;

    public StreamConsoleOutput(Stream stream, int capacity, ConsoleOverflow overflow, Action roomAgain, Action<Exception> failure)
    {
        _stream = stream;
        _capacity = capacity;
        _overflow = overflow;
        _roomAgain = roomAgain;
        _failure = failure;
        _buffer = new ConsoleBuffer(capacity);
        ConsoleThread.Start(Pump, "VirtKit console output");
    }

    /// <summary>How many bytes never reached the stream.</summary>
    public long Dropped
    {
        get
        {
            lock (_gate)
                return _dropped;
        }
    }

    private bool IsHalfEmpty => _buffer.Count <= _capacity / 2;

    private bool IsOpen => !_closed && !_failed;

    /// <summary>Takes bytes, as <see cref="IConsoleBackend.Write"/> does.</summary>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            if (_overflow == ConsoleOverflow.Wait && bytes.Length > _buffer.Room && IsOpen)
                WaitForRoom();
            if (!IsOpen)
            {
                _dropped += bytes.Length;
                return bytes.Length;
            }

            ReadOnlySpan<byte> kept = bytes;
            if (_overflow == ConsoleOverflow.DropOldest)
            {
                int lost = Math.Max(0, bytes.Length - _buffer.Room), older = Math.Min(lost, _buffer.Count);
                _buffer.Drop(older);
                kept = bytes[(lost - older)..];
                _dropped += lost;
            }
            else if (bytes.Length > _buffer.Room)
            {
                bytes = kept = bytes[.._buffer.Room];
                _refused = true;
            }

            _buffer.Append(kept);
            if (_idle)
            {
                _idle = false;
                Monitor.PulseAll(_gate);
            }

            return bytes.Length;
        }
    }

    /// <summary>Waits until the stream has taken everything, or is closed or failed.</summary>
    /// <param name="timeout">The time for all.</param>
    /// <param name="stalled">The time without any progress.</param>
    public bool Drain(TimeSpan timeout, TimeSpan stalled)
    {
        long deadline = ConsoleTimeout.Deadline(timeout);
        lock (_gate)
        {
            long pieces = _pieces, stalledDeadline = ConsoleTimeout.Deadline(stalled);
            while (IsOpen && (_buffer.Count > 0 || _writing))
            {
                int left = ConsoleTimeout.Left(Math.Min(deadline, stalledDeadline));
                if (left == 0)
                    return false;
                Monitor.Wait(_gate, left);
                if (_pieces == pieces)
                    continue;
                pieces = _pieces;
                stalledDeadline = ConsoleTimeout.Deadline(stalled);
            }

            return true;
        }
    }

    /// <summary>Lets the thread end, and those go who wait; what was not written is lost.</summary>
    public void Close()
    {
        lock (_gate)
            End(ref _closed);
    }

    private void Pump()
    {
        byte[] piece = new byte[Math.Min(PieceSize, _capacity)];
        while (TryTakePiece(piece, out int count))
        {
            try
            {
                _stream.Write(piece, 0, count);
                _stream.Flush();
            }
            catch (Exception e)
            {
                bool tell;
                lock (_gate)
                {
                    tell = !_closed;
                    _dropped += count;
                    End(ref _failed);
                }

                // After the end of the console its streams may be closed at any time.
                if (tell)
                    _failure(e);
                return;
            }
        }
    }

    private bool TryTakePiece(byte[] piece, out int count)
    {
        lock (_gate)
        {
            _writing = false;
            Monitor.PulseAll(_gate);
            while (_buffer.Count == 0 && !_closed)
            {
                _idle = true;
                Monitor.Wait(_gate);
            }

            count = Math.Min(piece.Length, _buffer.Count);
            if (_closed)
                return false;
            _buffer.Bytes[..count].CopyTo(piece);
            _buffer.Drop(count);
            _writing = true;
            _pieces++;
            if (IsHalfEmpty)
            {
                _stalled = false;
                TellOfRoom();
            }

            return true;
        }
    }

    /// <summary>Waits until half of the buffer is free, so that the next wait comes only after so many bytes: what a write costs stays bounded.</summary>
    private void WaitForRoom()
    {
        long deadline = Environment.TickCount64 + PatienceMilliseconds;
        while (!_stalled && IsOpen && !IsHalfEmpty)
        {
            int left = ConsoleTimeout.Left(deadline);
            if (left == 0)
                _stalled = true;
            else
                Monitor.Wait(_gate, left);
        }
    }

    private void End(ref bool how)
    {
        how = true;
        _dropped += _buffer.Count;
        _buffer.Drop(_buffer.Count);
        TellOfRoom();
        Monitor.PulseAll(_gate);
    }

    /// <summary>On another thread: a device's gate is taken there, whose holder may wait for room that only this thread makes.</summary>
    private void TellOfRoom()
    {
        if (!_refused)
            return;
        _refused = false;
        ThreadPool.UnsafeQueueUserWorkItem(static output => output._roomAgain(), this, preferLocal: false);
    }
}
