using System.Text;

namespace VirtKit.Devices.Consoles;

/// <summary>A console in memory: the host types and reads by method calls. For tests and for hosts that talk with a guest by text. Thread-safe.</summary>
/// <param name="capacity">How many bytes of output it keeps, 1 or more. When they are full the guest waits until <see cref="TakeOutput"/> makes room.</param>
public sealed class MemoryConsole(int capacity = 16 << 20) : IConsoleBackend
{
    private readonly int _capacity = capacity > 0 ? capacity : throw new ArgumentOutOfRangeException(nameof(capacity));
    private readonly object _gate = new();
    private readonly Queue<byte> _input = [];
    private readonly List<byte> _output = [];
    private ConsoleSize _size;

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

    /// <summary>What the guest has written since the last <see cref="TakeOutput"/>, as UTF-8.</summary>
    public string Output
    {
        get
        {
            lock (_gate)
                return Encoding.UTF8.GetString([.. _output]);
        }
    }

    /// <summary>Types bytes, which the guest reads when it gets to it.</summary>
    public void Type(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            foreach (byte b in bytes)
                _input.Enqueue(b);
        }

        Changed?.Invoke();
    }

    /// <summary>Types text as UTF-8.</summary>
    public void Type(string text) => Type(Encoding.UTF8.GetBytes(text));

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
            bytes = [.. _output];
            _output.Clear();
        }

        Changed?.Invoke();
        return bytes;
    }

    /// <summary>Waits until the output holds a text.</summary>
    /// <param name="text">The text, compared as UTF-8 bytes.</param>
    /// <param name="timeout">How long to wait.</param>
    /// <returns>Whether it came in time.</returns>
    public bool WaitFor(string text, TimeSpan timeout)
    {
        byte[] wanted = Encoding.UTF8.GetBytes(text);
        long deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        int searched = 0;
        lock (_gate)
        {
            while (true)
            {
                ReadOnlySpan<byte> output = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_output);
                if (output.Length < searched)
                    searched = 0;
                if (output[searched..].IndexOf(wanted) >= 0)
                    return true;
                searched = Math.Max(0, output.Length - wanted.Length);
                long left = deadline - Environment.TickCount64;
                if (left <= 0 || !Monitor.Wait(_gate, (int)Math.Min(left, int.MaxValue)))
                    return false;
            }
        }
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            int taken = Math.Min(bytes.Length, _capacity - _output.Count);
            _output.AddRange(bytes[..taken]);
            Monitor.PulseAll(_gate);
            return taken;
        }
    }

    /// <inheritdoc/>
    public int Read(Span<byte> buffer)
    {
        lock (_gate)
        {
            int count = Math.Min(buffer.Length, _input.Count);
            for (int i = 0; i < count; i++)
                buffer[i] = _input.Dequeue();
            return count;
        }
    }
}
