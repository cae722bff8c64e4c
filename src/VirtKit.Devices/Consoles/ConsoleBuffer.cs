using VirtKit.State;

namespace VirtKit.Devices.Consoles;

/// <summary>Bytes in the order they came, up to a limit, contiguous so that they can be searched. It grows with what it holds. Not thread-safe.</summary>
/// <param name="capacity">The most bytes that it holds.</param>
internal sealed class ConsoleBuffer(int capacity) : ISnapshotable
{
    private byte[] _bytes = [];
    private int _start;

    /// <summary>How many bytes it holds.</summary>
    public int Count { get; private set; }

    /// <summary>How many bytes there is room for.</summary>
    public int Room => Math.Max(0, capacity - Count);

    /// <summary>The bytes, the oldest first; valid until the next change.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(_start, Count);

    /// <summary>Adds bytes at the end; there is room for them.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _bytes.Length - _start - Count)
            MoveToFront(Count + bytes.Length);
        bytes.CopyTo(_bytes.AsSpan(_start + Count));
        Count += bytes.Length;
    }

    /// <summary>Removes the oldest bytes.</summary>
    public void Drop(int count)
    {
        Count -= count;
        _start = Count == 0 ? 0 : _start + count;
    }

    /// <summary>Passes over what is held. What is restored may be more than the buffer takes by itself: there is no room then until it has been read.</summary>
    public void Visit(StateVisitor visitor)
    {
        byte[] bytes = Bytes.ToArray();
        visitor.Version(1);
        visitor.Bytes("unread", ref bytes, Array.MaxLength / 2);
        if (!visitor.IsReading)
            return;
        Drop(Count);
        Append(bytes);
    }

    /// <summary>Moves the bytes to the front. A quarter more than is needed stays free behind them, so that moving costs each byte a constant.</summary>
    private void MoveToFront(int needed)
    {
        byte[] target = _bytes;
        if (needed > target.Length / 5 * 4)
        {
            long doubled = Math.Max(needed, Math.Min(2L * needed, capacity));
            target = new byte[(int)Math.Min(Math.Max(256, doubled + doubled / 4 + 1), Array.MaxLength)];
        }

        Bytes.CopyTo(target);
        (_bytes, _start) = (target, 0);
    }
}
