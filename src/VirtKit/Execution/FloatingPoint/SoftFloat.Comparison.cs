using System.Runtime.CompilerServices;

namespace VirtKit.Execution.FloatingPoint;

/// <content>Comparison, minimum and maximum, classification.</content>
internal static partial class SoftFloat<TFormat, TRules>
{
    /// <summary>1 if a = b, otherwise 0; a quiet NaN is unequal to everything, silently (IEEE 754-2019 §5.11).</summary>
    public static ulong Equal(ulong a, ulong b, ref uint flags)
    {
        if (IsNaN(a) || IsNaN(b))
        {
            PropagateNaN(a, b, ref flags);
            return 0;
        }

        return Order(a) == Order(b) ? 1UL : 0;
    }

    /// <summary>1 if a &lt; b, otherwise 0; every NaN is invalid.</summary>
    public static ulong LessThan(ulong a, ulong b, ref uint flags) => AreOrdered(a, b, ref flags) && Order(a) < Order(b) ? 1UL : 0;

    /// <summary>1 if a &lt;= b, otherwise 0; every NaN is invalid.</summary>
    public static ulong LessThanOrEqual(ulong a, ulong b, ref uint flags) => AreOrdered(a, b, ref flags) && Order(a) <= Order(b) ? 1UL : 0;

    /// <summary>MinimumNumber of IEEE 754-2019 §9.6. A NaN gives way to a number; -0 is less than +0.</summary>
    public static ulong Minimum(ulong a, ulong b, ref uint flags)
    {
        if (IsNaN(a) || IsNaN(b))
            return NumberOfPair(a, b, ref flags);
        long difference = Order(a).CompareTo(Order(b));
        return difference == 0 ? a | b : difference < 0 ? a : b;
    }

    /// <summary>MaximumNumber of IEEE 754-2019 §9.6. A NaN gives way to a number; -0 is less than +0.</summary>
    public static ulong Maximum(ulong a, ulong b, ref uint flags)
    {
        if (IsNaN(a) || IsNaN(b))
            return NumberOfPair(a, b, ref flags);
        long difference = Order(a).CompareTo(Order(b));
        return difference == 0 ? a & b : difference < 0 ? b : a;
    }

    /// <summary>A mask with one bit set for the class (IEEE 754-2019 §5.7.2): from 0 to 7 negative infinity, normal, subnormal, zero, positive zero, subnormal,
    /// normal, infinity; 8 signaling NaN, 9 quiet NaN.</summary>
    public static ulong Classify(ulong a)
    {
        if (IsNaN(a))
            return IsSignalingNaN(a) ? 1UL << 8 : 1UL << 9;
        int distance = IsInfinite(a) ? 3 : Magnitude(a) > FractionMask ? 2 : IsZero(a) ? 0 : 1;
        return 1UL << (IsNegative(a) ? 3 - distance : 4 + distance);
    }

    /// <summary>An integer that orders as the numbers do, both zeros alike.</summary>
    [MethodImpl(Inline)]
    private static long Order(ulong bits) => IsNegative(bits) ? -(long)Magnitude(bits) : (long)Magnitude(bits);

    private static bool AreOrdered(ulong a, ulong b, ref uint flags)
    {
        if (!IsNaN(a) && !IsNaN(b))
            return true;
        flags |= FloatFlags.Invalid;
        return false;
    }

    /// <summary>Of a pair with a NaN the number; a NaN if there is none.</summary>
    private static ulong NumberOfPair(ulong a, ulong b, ref uint flags)
    {
        ulong nan = PropagateNaN(a, b, ref flags);
        return !IsNaN(a) ? a : !IsNaN(b) ? b : nan;
    }
}
