using System.Runtime.CompilerServices;

namespace VirtKit.Execution.FloatingPoint;

/// <summary>As <see cref="Normalized"/> with a significand of 128 bits, (-1)^Negative × Significand × 2^(Exponent - 127): holds the product of two
/// significands.</summary>
internal readonly struct Wide(bool negative, int exponent, UInt128 significand)
{
    public bool Negative { get; } = negative;

    public int Exponent { get; } = exponent;

    public UInt128 Significand { get; } = significand;

    /// <summary>The same number with more room.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide From(Normalized number) => new(number.Negative, number.Exponent, new UInt128(number.Significand, 0));

    /// <summary>The exact product.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide Product(Normalized a, Normalized b)
    {
        ulong high = Math.BigMul(a.Significand, b.Significand, out ulong low);
        bool negative = a.Negative != b.Negative;
        int exponent = a.Exponent + b.Exponent;
        return (long)high < 0
            ? new(negative, exponent + 1, new UInt128(high, low))
            : new(negative, exponent, new UInt128((high << 1) | (low >> 63), low << 1));
    }

    /// <summary>The sum, its lowest bit sticky; false if the operands cancel exactly.</summary>
    /// <remarks>Both have at least 22 zero bits at the low end, so making room for the carry loses nothing, and where the smaller one is cut at all, at most
    /// one leading bit cancels: the sticky bit stays far below every bit that rounding looks at.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TrySum(Wide a, Wide b, out Wide sum)
    {
        if (a.Exponent < b.Exponent || (a.Exponent == b.Exponent && a.Significand < b.Significand))
            (a, b) = (b, a);

        UInt128 larger = a.Significand >> 1;
        UInt128 smaller = ShiftRightSticky(b.Significand >> 1, a.Exponent - b.Exponent);
        UInt128 total = a.Negative == b.Negative ? larger + smaller : larger - smaller;
        int shift = (int)UInt128.LeadingZeroCount(total);
        sum = new(a.Negative, a.Exponent + 1 - shift, total << shift);
        return total != UInt128.Zero;
    }

    /// <summary>The upper half of the significand; ones in the lower half stick to bit 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Normalized Narrow() => new(Negative, Exponent, (ulong)(Significand >> 64) | ((ulong)Significand == 0 ? 0UL : 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static UInt128 ShiftRightSticky(UInt128 value, int count)
    {
        if (count == 0)
            return value;
        if (count >= 128)
            return value == UInt128.Zero ? UInt128.Zero : UInt128.One;
        return (value >> count) | (value << (128 - count) == UInt128.Zero ? UInt128.Zero : UInt128.One);
    }
}
