using System.Runtime.CompilerServices;
using VirtKit.State;

namespace VirtKit.Devices;

/// <summary>A FIFO of 16 bytes, as a value so that it is part of a device's state.</summary>
internal struct ByteFifo : ISnapshotable
{
    public const int Capacity = 16;

    private Storage _bytes;
    private int _start;

    private int _count;

    /// <summary>How many bytes it holds.</summary>
    public readonly int Count => _count;

    /// <summary>Adds a byte; there is room.</summary>
    public void Add(byte value) => _bytes[(_start + _count++) % Capacity] = value;

    /// <summary>Removes the oldest byte; there is one.</summary>
    public byte Take()
    {
        byte value = _bytes[_start];
        Drop(1);
        return value;
    }

    /// <summary>Copies all bytes out, the oldest first, and keeps them.</summary>
    public readonly int Peek(Span<byte> destination)
    {
        for (int i = 0; i < Count; i++)
            destination[i] = _bytes[(_start + i) % Capacity];
        return Count;
    }

    /// <summary>Removes the oldest bytes.</summary>
    public void Drop(int count)
    {
        _start = (_start + count) % Capacity;
        _count -= count;
    }

    public void Visit(StateVisitor visitor)
    {
        visitor.Fields("bytes", (Span<byte>)_bytes);
        visitor.Field("start", ref _start);
        visitor.Field("count", ref _count);
        visitor.Require((uint)_start < Capacity, "start", $"is {_start}");
        visitor.Require((uint)_count <= Capacity, "count", $"is {_count}");
    }

    [InlineArray(Capacity)]
    private struct Storage
    {
        private byte _first;
    }
}
