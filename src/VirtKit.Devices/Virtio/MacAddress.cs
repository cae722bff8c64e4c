using System.Globalization;

namespace VirtKit.Devices.Virtio;

/// <summary>A 48-bit Ethernet address.</summary>
/// <param name="Value">The six bytes as a number, the first one on top: 0 to 2^48 - 1.</param>
public readonly record struct MacAddress(ulong Value)
{
    /// <summary>A locally administered address (prefix 52:54:00), the same for the same number.</summary>
    /// <param name="number">Any number; its low 24 bits tell interfaces apart.</param>
    public static MacAddress Local(int number) => new(0x5254_0000_0000ul | (uint)(number & 0xff_ffff));

    /// <summary>Writes the six bytes in the order of the wire.</summary>
    /// <param name="destination">At least 6 bytes.</param>
    public void CopyTo(Span<byte> destination)
    {
        for (int i = 0; i < 6; i++)
            destination[i] = (byte)(Value >> (40 - 8 * i));
    }

    /// <summary>The address in the usual form, <c>52:54:00:00:00:01</c>.</summary>
    public override string ToString()
    {
        ulong value = Value;
        return string.Join(':', Enumerable.Range(0, 6).Select(i => ((byte)(value >> (40 - 8 * i))).ToString("x2", CultureInfo.InvariantCulture)));
    }
}
