using System.Runtime.CompilerServices;

namespace VirtKit.Execution.FloatingPoint;

/// <content>Rounding: from a number with unbounded exponent to the format.</content>
internal static partial class SoftFloat<TFormat, TRules>
{
    /// <summary>Rounds to the format and sets NX, UF and OF as that needs (IEEE 754-2019 §7.4 to §7.6).</summary>
    private static ulong Round(Normalized number, RoundingMode mode, ref uint flags)
    {
        bool negative = number.Negative;
        ulong significand = number.Significand;
        int below = MinExponent - number.Exponent;
        bool tiny = below > 0 && (below > 1 || !ReachesNextBinade(negative, significand, mode));
        if (below > 0)
            significand = Normalized.ShiftRightSticky(significand, below);

        ulong kept = significand >> ExcessBits;
        ulong cut = significand << (64 - ExcessBits);
        if (cut != 0)
        {
            flags |= tiny ? FloatFlags.Inexact | FloatFlags.Underflow : FloatFlags.Inexact;
            if (RoundsAway(negative, kept, cut, mode))
                kept++;
        }

        // The leading one of a normal number adds 1 to the exponent field, and so does a carry out of the significand; that also makes the largest subnormal
        // number round up to the smallest normal one. The exponent is compared before it is shifted into place, because it is unbounded.
        int field = below > 0 ? 0 : -below;
        if (field >= MaxBiasedExponent)
            return Overflow(negative, mode, ref flags);
        ulong magnitude = ((ulong)field << TFormat.FractionBits) + kept;
        return magnitude < Infinity ? Zero(negative) | magnitude : Overflow(negative, mode, ref flags);
    }

    /// <summary>Whether the magnitude is rounded up, given the integer part that is kept and the fraction that is cut as a 64-bit binary fraction.</summary>
    [MethodImpl(Inline)]
    private static bool RoundsAway(bool negative, ulong kept, ulong cut, RoundingMode mode)
    {
        const ulong half = 1UL << 63;
        return mode switch
        {
            RoundingMode.NearestEven => cut > half || (cut == half && (kept & 1) != 0),
            RoundingMode.NearestMaxMagnitude => cut >= half,
            RoundingMode.Down => negative && cut != 0,
            RoundingMode.Up => !negative && cut != 0,
            _ => false,
        };
    }

    /// <summary>Whether rounding to the format's precision, with unbounded exponent, carries to the next power of two: what "after rounding" means for a
    /// number just below the smallest normal one.</summary>
    private static bool ReachesNextBinade(bool negative, ulong significand, RoundingMode mode)
    {
        ulong kept = significand >> ExcessBits;
        return kept == (FractionMask | (1UL << TFormat.FractionBits)) && RoundsAway(negative, kept, significand << (64 - ExcessBits), mode);
    }

    /// <summary>Infinity, or the largest finite number where the mode rounds towards it.</summary>
    private static ulong Overflow(bool negative, RoundingMode mode, ref uint flags)
    {
        flags |= FloatFlags.Overflow | FloatFlags.Inexact;
        bool toInfinity = mode switch
        {
            RoundingMode.NearestEven or RoundingMode.NearestMaxMagnitude => true,
            RoundingMode.Down => negative,
            RoundingMode.Up => !negative,
            _ => false,
        };
        return toInfinity ? SignedInfinity(negative) : Zero(negative) | (Infinity - 1);
    }
}
