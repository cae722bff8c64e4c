namespace VirtKit.Execution.FloatingPoint;

/// <content>Conversion between formats and to and from integers.</content>
internal static partial class SoftFloat<TFormat, TRules>
{
    /// <summary>Converts from another format.</summary>
    public static ulong FromFormat<TSource>(ulong a, RoundingMode mode, ref uint flags)
        where TSource : struct, IFloatFormat
    {
        bool negative = SoftFloat<TSource, TRules>.IsNegative(a);
        if (SoftFloat<TSource, TRules>.IsNaN(a))
        {
            SoftFloat<TSource, TRules>.PropagateNaN(a, a, ref flags);
            return TRules.PropagatesNaNs ? Zero(negative) | Infinity | QuietBit | Payload<TSource>(a) : DefaultNaN;
        }

        if (SoftFloat<TSource, TRules>.IsInfinite(a))
            return SignedInfinity(negative);
        return SoftFloat<TSource, TRules>.IsZero(a) ? Zero(negative) : Round(SoftFloat<TSource, TRules>.Unpack(a), mode, ref flags);
    }

    /// <summary>Converts the lower 32 bits as a signed integer.</summary>
    public static ulong FromInt32(ulong a, RoundingMode mode, ref uint flags) => FromInt64((ulong)(int)a, mode, ref flags);

    /// <summary>Converts the lower 32 bits as an unsigned integer.</summary>
    public static ulong FromUInt32(ulong a, RoundingMode mode, ref uint flags) => FromUInt64((uint)a, mode, ref flags);

    /// <summary>Converts a signed integer.</summary>
    public static ulong FromInt64(ulong a, RoundingMode mode, ref uint flags)
        => (long)a < 0 ? Round(Normalized.FromInteger(true, 0, 0 - a), mode, ref flags) : FromUInt64(a, mode, ref flags);

    /// <summary>Converts an unsigned integer.</summary>
    public static ulong FromUInt64(ulong a, RoundingMode mode, ref uint flags)
        => a == 0 ? 0 : Round(Normalized.FromInteger(false, 0, a), mode, ref flags);

    /// <summary>Converts to a signed 32-bit integer, sign-extended to 64 bits.</summary>
    public static ulong ToInt32(ulong a, RoundingMode mode, ref uint flags) => ToInteger(a, int.MaxValue, 1UL << 31, mode, ref flags);

    /// <summary>Converts to an unsigned 32-bit integer, sign-extended to 64 bits.</summary>
    public static ulong ToUInt32(ulong a, RoundingMode mode, ref uint flags) => (ulong)(int)ToInteger(a, uint.MaxValue, 0, mode, ref flags);

    /// <summary>Converts to a signed 64-bit integer.</summary>
    public static ulong ToInt64(ulong a, RoundingMode mode, ref uint flags) => ToInteger(a, long.MaxValue, 1UL << 63, mode, ref flags);

    /// <summary>Converts to an unsigned 64-bit integer.</summary>
    public static ulong ToUInt64(ulong a, RoundingMode mode, ref uint flags) => ToInteger(a, ulong.MaxValue, 0, mode, ref flags);

    /// <summary>The highest bits of a NaN's fraction, as many as the format has.</summary>
    private static ulong Payload<TSource>(ulong a) where TSource : struct, IFloatFormat
    {
        ulong fraction = a << (64 - TSource.FractionBits);
        return fraction >> (64 - TFormat.FractionBits);
    }

    /// <summary>Rounds to an integer. One that lies outside of [-lowest, highest] is invalid, and then never inexact, as is a NaN.</summary>
    private static ulong ToInteger(ulong a, ulong highest, ulong lowest, RoundingMode mode, ref uint flags)
    {
        if (IsZero(a))
            return 0;
        bool negative = IsNegative(a) && !IsNaN(a);
        ulong limit = negative ? lowest : highest;
        ulong integer = limit;
        ulong fraction = 0;
        bool fits = IsFinite(a);
        if (fits)
        {
            Normalized number = Unpack(a);
            int exponent = number.Exponent;
            fits = exponent < 64;
            if (exponent < 0)
                (integer, fraction) = (0, Normalized.ShiftRightSticky(number.Significand, -1 - exponent));
            else if (exponent < 63)
                (integer, fraction) = (number.Significand >> (63 - exponent), number.Significand << (exponent + 1));
            else
                integer = number.Significand;
            if (RoundsAway(negative, integer, fraction, mode))
                integer++;
        }

        if (!fits || integer > limit)
        {
            flags |= FloatFlags.Invalid;
            if (!TRules.IntegersSaturate)
                return lowest == 0 ? highest : 0 - lowest;
            integer = limit;
        }
        else if (fraction != 0)
        {
            flags |= FloatFlags.Inexact;
        }

        return negative ? 0 - integer : integer;
    }
}
