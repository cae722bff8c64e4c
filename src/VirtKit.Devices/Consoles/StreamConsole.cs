using VirtKit.State;

namespace VirtKit.Devices.Consoles;

/// <summary>A console over streams: the process's standard streams, a pipe, a socket. Thread-safe.</summary>
/// <remarks>
/// Two background threads serve the streams, so that a stream which blocks, is slow or fails holds up neither a vCPU nor the machine's end.
/// <list type="bullet">
/// <item>Output goes into a buffer and from there to the stream at once, in order, flushed after each piece. While the buffer is full and the stream still moves, a
/// guest that writes waits up to 50 ms in its call; a stream that stands still then holds the guest back by flow control, or loses output, as
/// <see cref="ConsoleOverflow"/> says.</item>
/// <item>Input is read 4096 bytes ahead of the guest at most.</item>
/// <item>A stream that throws anything is treated as closed: no more input, output goes nowhere. <see cref="Failure"/> and <see cref="Failed"/> tell.</item>
/// </list>
/// What the guest wrote before its machine stopped reaches the stream when the stream takes it; <see cref="Flush"/> and <see cref="Dispose"/> wait for that.
/// </remarks>
public sealed class StreamConsole : IConsoleBackend, ISnapshotable, IDisposable
{
    /// <summary>How long <see cref="Dispose"/> waits for a stream that takes nothing, and for one that is slow.</summary>
    private static readonly TimeSpan StalledLimit = TimeSpan.FromMilliseconds(500), DisposeLimit = TimeSpan.FromSeconds(5);

    private readonly StreamConsoleOutput _output;
    private readonly StreamConsoleInput? _input;
    private readonly Lock _gate = new();
    private ConsoleSize _size;
    private Exception? _failure;

    /// <summary>Connects the streams, which stay the caller's.</summary>
    /// <param name="input">What the guest reads; <see langword="null"/> for no input.</param>
    /// <param name="output">Where the guest's output goes.</param>
    /// <param name="outputCapacity">How many bytes of output wait for the stream at most, 1 or more; 64 KiB.</param>
    /// <param name="overflow">What happens when they are full; the guest waits.</param>
    public StreamConsole(Stream? input, Stream output, int outputCapacity = 64 << 10, ConsoleOverflow overflow = ConsoleOverflow.Wait)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentOutOfRangeException.ThrowIfLessThan(outputCapacity, 1);
        if (!Enum.IsDefined(overflow))
            throw new ArgumentOutOfRangeException(nameof(overflow), overflow, "Unknown policy.");
        if (input is { CanRead: false })
            throw new ArgumentException("The stream cannot be read.", nameof(input));
        if (!output.CanWrite)
            throw new ArgumentException("The stream cannot be written.", nameof(output));
        _output = new StreamConsoleOutput(output, outputCapacity, overflow, RaiseChanged, Fail);
        if (input is not null)
            _input = new StreamConsoleInput(input, RaiseChanged, Fail);
    }

    /// <inheritdoc/>
    public event Action? Changed;

    /// <summary>A stream, or a handler of <see cref="Changed"/>, has thrown. Raised once, for the first one, on the console's own thread; what the handler throws is ignored.</summary>
    public event Action<Exception>? Failed;

    /// <summary>What a stream, or a handler of <see cref="Changed"/>, has thrown first; <see langword="null"/> while all is well.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>How many bytes of output were lost: because the buffer was full, with <see cref="ConsoleOverflow.DropOldest"/>, or because the stream had failed.</summary>
    public long Dropped => _output.Dropped;

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
        RaiseChanged();
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> bytes) => _output.Write(bytes);

    /// <inheritdoc/>
    public int Read(Span<byte> buffer) => _input?.Read(buffer) ?? 0;

    /// <summary>Passes over the input that was read from the stream and not by the guest yet; the output is the host's.</summary>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        if (_input is null)
            new ConsoleBuffer(0).Visit(visitor);
        else
            _input.Visit(visitor);
    }

    /// <summary>Waits until the stream has taken and flushed all output, or has failed.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>Whether nothing waits any more.</returns>
    public bool Flush(TimeSpan timeout)
    {
        ConsoleTimeout.ThrowIfInvalid(timeout);
        return _output.Drain(timeout, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Gives the stream what waits for it, then stops. It gives up when the stream has taken nothing for half a second, and after 5 seconds; the rest is lost.
    /// Output that comes afterwards goes nowhere. A thread of the console that is inside a call of a stream ends when that call comes back.</summary>
    public void Dispose()
    {
        _input?.Close();
        _output.Drain(DisposeLimit, StalledLimit);
        _output.Close();
    }

    private void RaiseChanged()
    {
        foreach (Action handler in Delegate.EnumerateInvocationList(Changed))
        {
            try
            {
                handler();
            }
            catch (Exception e)
            {
                Fail(e);
            }
        }
    }

    private void Fail(Exception error)
    {
        if (Interlocked.CompareExchange(ref _failure, error, null) is not null)
            return;
        try
        {
            Failed?.Invoke(error);
        }
        catch (Exception)
        {
            // Nobody is left to be told: this is the thread of the console itself.
        }
    }
}
