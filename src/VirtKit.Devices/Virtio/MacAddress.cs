using System.Globalization;

namespace VirtKit.Devices.Virtio;

/// <summary>A 48-bit Ethernet address.</summary>
/// <param name="Value">The six bytes as a number, the first one on top: 0 to 2^48 - 1.</param>
/// <exception cref="ArgumentOutOfRangeException">The number has more than 48 bits.</exception>
public readonly record struct MacAddress(ulong Value)
{
    /// <summary>The six bytes as a number, the first one on top: 0 to 2^48 - 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The number has more than 48 bits.</exception>
    public ulong Value { get; init => field = Checked(value); } = Checked(Value);

    /// <summary>Whether it names a group of interfaces: bit 0 of the first byte.</summary>
    public bool IsGroup => (Value >> 40 & 1) != 0;

    /// <summary>A locally administered address (prefix 52:54:00), the same for the same number.</summary>
    /// <param name="number">Any number; its low 24 bits tell interfaces apart.</param>
    public static MacAddress Local(int number) => new(0x5254_0000_0000ul | (uint)(number & 0xff_ffff));

    /// <summary>Writes the six bytes in the order of the wire.</summary>
    /// <param name="destination">At least 6 bytes.</param>
    /// <exception cref="ArgumentException">It is shorter.</exception>
    public void CopyTo(Span<byte> destination)
    {
        if (destination.Length < 6)
            throw new ArgumentException("An address needs 6 bytes.", nameof(destination));
        for (int i = 0; i < 6; i++)
            destination[i] = (byte)(Value >> (40 - 8 * i));
    }

    /// <summary>The address in the usual form, <c>52:54:00:00:00:01</c>.</summary>
    public override string ToString()
    {
        ulong value = Value;
        return string.Join(':', Enumerable.Range(0, 6).Select(i => ((byte)(value >> (40 - 8 * i))).ToString("x2", CultureInfo.InvariantCulture)));
    }

    private static ulong Checked(ulong value)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 0xffff_ffff_fffful, nameof(Value));
        return value;
    }
}
