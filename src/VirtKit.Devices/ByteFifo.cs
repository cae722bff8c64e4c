using System.Runtime.CompilerServices;

namespace VirtKit.Devices;

/// <summary>A FIFO of 16 bytes, as a value so that it is part of a device's state.</summary>
internal struct ByteFifo
{
    public const int Capacity = 16;

    private Storage _bytes;
    private int _start;

    /// <summary>How many bytes it holds.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a byte; there is room.</summary>
    public void Add(byte value) => _bytes[(_start + Count++) % Capacity] = value;

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
        Count -= count;
    }

    [InlineArray(Capacity)]
    private struct Storage
    {
        private byte _first;
    }
}
