using System.Buffers.Binary;
using System.Text;

namespace VirtKit.Boot;

/// <summary>A property of a <see cref="DeviceTreeNode"/>. Its type is what its reader takes it for: a blob carries bytes alone.</summary>
/// <param name="Name">The name.</param>
/// <param name="Value">The bytes, a view of the blob.</param>
public sealed record DeviceTreeProperty(string Name, ReadOnlyMemory<byte> Value)
{
    /// <summary>The value as 32-bit cells.</summary>
    /// <exception cref="InvalidImageException">Its length is not a multiple of 4.</exception>
    public uint[] Cells()
    {
        CheckMultiple(4);
        uint[] cells = new uint[Value.Length / 4];
        for (int i = 0; i < cells.Length; i++)
            cells[i] = BinaryPrimitives.ReadUInt32BigEndian(Value.Span[(i * 4)..]);
        return cells;
    }

    /// <summary>The value as 64-bit numbers of two cells each.</summary>
    /// <exception cref="InvalidImageException">Its length is not a multiple of 8.</exception>
    public ulong[] Cells64()
    {
        CheckMultiple(8);
        ulong[] values = new ulong[Value.Length / 8];
        for (int i = 0; i < values.Length; i++)
            values[i] = BinaryPrimitives.ReadUInt64BigEndian(Value.Span[(i * 8)..]);
        return values;
    }

    /// <summary>The value as null-terminated strings.</summary>
    /// <exception cref="InvalidImageException">The last one is not terminated.</exception>
    public string[] Strings()
    {
        if (Value.IsEmpty)
            return [];
        if (Value.Span[^1] != 0)
            throw new InvalidImageException($"The device tree property {Name} is not a list of strings.");
        return Encoding.UTF8.GetString(Value.Span[..^1]).Split('\0');
    }

    private void CheckMultiple(int size)
    {
        if (Value.Length % size != 0)
            throw new InvalidImageException($"The device tree property {Name} has {Value.Length} bytes, not a multiple of {size}.");
    }
}
