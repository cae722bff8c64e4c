namespace VirtKit.Devices.Consoles;

/// <summary>A console over streams: the process's standard streams, a pipe, a socket. Thread-safe.</summary>
/// <remarks>Output is written and flushed in the guest's call, so a slow stream slows the guest. Input is read by one background thread, a buffer ahead at most.
/// A stream that fails is treated as closed.</remarks>
public sealed class StreamConsole : IConsoleBackend, IDisposable
{
    private readonly Stream? _input;
    private readonly Stream _output;
    private readonly object _gate = new();
    private readonly byte[] _buffer = new byte[4096];
    private int _start, _end;
    private ConsoleSize _size;
    private bool _disposed;
    private bool _outputFailed;

    /// <summary>Connects the streams, which stay the caller's.</summary>
    /// <param name="input">What the guest reads; <see langword="null"/> for no input.</param>
    /// <param name="output">Where the guest's output goes.</param>
    public StreamConsole(Stream? input, Stream output)
    {
        ArgumentNullException.ThrowIfNull(output);
        _input = input;
        _output = output;
        if (input is not null)
            new Thread(ReadInput) { IsBackground = true, Name = "VirtKit console" }.Start();
    }

    /// <inheritdoc/>
    public event Action? Changed;

    /// <inheritdoc/>
    public ConsoleSize Size
    {
        get
        {
            lock (_gate)
                return _size;
        }
    }

    /// <summary>Tells the guest of another terminal size.</summary>
    public void Resize(ConsoleSize size)
    {
        lock (_gate)
            _size = size;
        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        if (!_outputFailed)
        {
            try
            {
                _output.Write(bytes);
                _output.Flush();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                _outputFailed = true;
            }
        }

        return bytes.Length;
    }

    /// <inheritdoc/>
    public int Read(Span<byte> buffer)
    {
        lock (_gate)
        {
            int count = Math.Min(buffer.Length, _end - _start);
            _buffer.AsSpan(_start, count).CopyTo(buffer);
            _start += count;
            Monitor.PulseAll(_gate);
            return count;
        }
    }

    /// <summary>Stops reading. The thread ends when its read of the input stream comes back.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            Monitor.PulseAll(_gate);
        }
    }

    private void ReadInput()
    {
        byte[] bytes = new byte[_buffer.Length];
        while (true)
        {
            int count;
            try
            {
                count = _input!.Read(bytes);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                return;
            }

            lock (_gate)
            {
                while (_start < _end && !_disposed)
                    Monitor.Wait(_gate);
                if (_disposed || count == 0)
                    return;
                bytes.AsSpan(0, count).CopyTo(_buffer);
                (_start, _end) = (0, count);
            }

            Changed?.Invoke();
        }
    }
}
