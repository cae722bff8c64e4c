using System.Numerics;
using System.Runtime.CompilerServices;

namespace VirtKit.Execution.FloatingPoint;

/// <summary>A number other than zero with unbounded exponent: (-1)^Negative × Significand × 2^(Exponent - 63), bit 63 of the significand set.</summary>
/// <remarks>Bit 0 may be sticky: set when the exact value has ones below it. Rounding to at most 62 bits cannot tell the difference.</remarks>
internal readonly struct Normalized(bool negative, int exponent, ulong significand)
{
    public bool Negative { get; } = negative;

    public int Exponent { get; } = exponent;

    public ulong Significand { get; } = significand;

    /// <summary>Normalizes magnitude × 2^exponent, where the magnitude is not zero.</summary>
    public static Normalized FromInteger(bool negative, int exponent, ulong magnitude)
    {
        int shift = BitOperations.LeadingZeroCount(magnitude);
        return new(negative, exponent + 63 - shift, magnitude << shift);
    }

    /// <summary>Shifts right; a one that is lost sticks to bit 0. Any count from 0 up is defined.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ShiftRightSticky(ulong value, int count)
    {
        if (count == 0)
            return value;
        if (count >= 64)
            return value == 0 ? 0UL : 1;
        return (value >> count) | (value << (64 - count) == 0 ? 0UL : 1);
    }
}
