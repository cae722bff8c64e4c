using System.Text;
using VirtKit.State;

namespace VirtKit.Devices.Consoles;

/// <summary>A console in memory: the host types and reads by method calls. For tests, automation and hosts that talk with a guest by text. Thread-safe.</summary>
/// <remarks>
/// It keeps the last <c>capacity</c> bytes of output, so that a guest which floods it takes no more of the host's memory than a quarter above that.
/// </remarks>
/// <example>
/// The board was made with the console:
/// <code>
/// Task&lt;VcpuExit&gt; run = console.Follow(board.Machine.RunAsync());
/// await console.ExpectAsync("login: ", TimeSpan.FromSeconds(30));
/// await console.SendLineAsync("root");
/// </code>
/// </example>
public sealed partial class MemoryConsole : IConsoleBackend, ISnapshotable
{
    private readonly int _capacity;
    private readonly ConsoleOverflow _overflow;
    private readonly object _gate = new();
    private readonly ConsoleBuffer _input = new(int.MaxValue), _output;
    private ConsoleSize _size;

    // Positions count bytes since the start: of the first output byte that is kept, of the first one that was not consumed, of the first input byte not read.
    private long _first, _consumed, _read;
    private long _dropped;

    /// <summary>Creates a console.</summary>
    /// <param name="capacity">How many bytes of output it keeps, 1 or more; 16 MiB.</param>
    /// <param name="overflow">What happens when they are full: the oldest are lost, or the guest waits until <see cref="TakeOutput"/> or a match makes room.</param>
    public MemoryConsole(int capacity = 16 << 20, ConsoleOverflow overflow = ConsoleOverflow.DropOldest)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        if (!Enum.IsDefined(overflow))
            throw new ArgumentOutOfRangeException(nameof(overflow), overflow, "Unknown policy.");
        _capacity = capacity;
        _overflow = overflow;
        _output = new ConsoleBuffer(capacity);
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

    /// <summary>What the guest has written since the last <see cref="TakeOutput"/>, as UTF-8, as far as it is kept.</summary>
    public string Output
    {
        get
        {
            lock (_gate)
                return Encoding.UTF8.GetString(_output.Bytes);
        }
    }

    /// <summary>How many bytes of output were lost before anybody took or matched them.</summary>
    public long Dropped
    {
        get
        {
            lock (_gate)
                return _dropped;
        }
    }

    /// <summary>How many bytes are kept that nobody has consumed.</summary>
    private int UnreadCount => (int)(_first + _output.Count - _consumed);

    /// <summary>Types bytes, which the guest reads when it gets to it.</summary>
    public void Type(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
            _input.Append(bytes);
        Changed?.Invoke();
    }

    /// <summary>Types text as UTF-8.</summary>
    public void Type(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        Type(Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Changes the terminal's size.</summary>
    public void Resize(ConsoleSize size)
    {
        lock (_gate)
            _size = size;
        Changed?.Invoke();
    }

    /// <summary>Takes what the guest has written since the last call, and makes room.</summary>
    public byte[] TakeOutput()
    {
        byte[] bytes;
        lock (_gate)
        {
            bytes = _output.Bytes.ToArray();
            DropOutput(bytes.Length);
            _consumed = _first;
        }

        Changed?.Invoke();
        return bytes;
    }

    /// <summary>Waits until the kept output holds a text, consumed or not. It consumes nothing.</summary>
    /// <param name="text">The text, compared as UTF-8 bytes.</param>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>Whether it came before the time was over and before the machine that is followed stopped.</returns>
    public bool WaitFor(string text, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(text);
        ConsoleTimeout.ThrowIfInvalid(timeout);
        byte[] wanted = Encoding.UTF8.GetBytes(text);
        long deadline = ConsoleTimeout.Deadline(timeout), searched = 0;
        lock (_gate)
        {
            while (true)
            {
                int start = (int)Math.Max(0, searched - _first);
                if (_output.Bytes[start..].IndexOf(wanted) >= 0)
                    return true;
                searched = Math.Max(searched, _first + _output.Count - wanted.Length + 1);
                int left = ConsoleTimeout.Left(deadline);
                if (left == 0 || _end is not null)
                    return false;
                Monitor.Wait(_gate, left);
            }
        }
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            // What was consumed is kept as long as there is room, for messages and Output.
            DropOutput((int)Math.Clamp(bytes.Length - _output.Room, 0, _consumed - _first));
            ReadOnlySpan<byte> kept = bytes;
            if (_overflow == ConsoleOverflow.DropOldest)
            {
                int lost = Math.Max(0, bytes.Length - _output.Room), older = Math.Min(lost, _output.Count);
                DropOutput(older);
                kept = bytes[(lost - older)..];
                _first += lost - older;
                _dropped += lost;
                _consumed = Math.Max(_consumed, _first);
            }
            else
            {
                bytes = kept = bytes[..Math.Min(bytes.Length, _output.Room)];
            }

            _output.Append(kept);
            Pulse();
            return bytes.Length;
        }
    }

    /// <inheritdoc/>
    public int Read(Span<byte> buffer)
    {
        lock (_gate)
        {
            int count = Math.Min(buffer.Length, _input.Count);
            _input.Bytes[..count].CopyTo(buffer);
            _input.Drop(count);
            _read += count;
            if (count > 0)
                Pulse();
            return count;
        }
    }

    /// <summary>Passes over the input that the guest has not read; the output is the host's.</summary>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        lock (_gate)
            _input.Visit(visitor);
    }

    private void DropOutput(int count)
    {
        _output.Drop(count);
        _first += count;
    }
}
