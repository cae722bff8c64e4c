namespace VirtKit.Execution.FloatingPoint;

/// <content>Addition, multiplication, division, square root and fused multiply-add (IEEE 754-2019 §5.4.1).</content>
internal static partial class SoftFloat<TFormat, TRules>
{
    /// <summary>a + b.</summary>
    public static ulong Add(ulong a, ulong b, RoundingMode mode, ref uint flags)
    {
        if (IsNaN(a) || IsNaN(b))
            return PropagateNaN(a, b, ref flags);
        if (IsInfinite(a))
            return IsInfinite(b) && a != b ? Invalid(ref flags) : a;
        if (IsInfinite(b) || IsZero(a))
            return IsZero(b) ? SumOfZeros(a, b, mode) : b;
        if (IsZero(b))
            return a;
        return Sum(Wide.From(Unpack(a)), Wide.From(Unpack(b)), mode, ref flags);
    }

    /// <summary>a - b.</summary>
    public static ulong Subtract(ulong a, ulong b, RoundingMode mode, ref uint flags) => Add(a, Negated(b), mode, ref flags);

    /// <summary>a × b.</summary>
    public static ulong Multiply(ulong a, ulong b, RoundingMode mode, ref uint flags)
    {
        bool negative = IsNegative(a ^ b);
        if (!IsFinite(a) || !IsFinite(b))
        {
            if (IsNaN(a) || IsNaN(b))
                return PropagateNaN(a, b, ref flags);
            return IsZero(a) || IsZero(b) ? Invalid(ref flags) : SignedInfinity(negative);
        }

        if (IsZero(a) || IsZero(b))
            return Zero(negative);
        return Round(Wide.Product(Unpack(a), Unpack(b)).Narrow(), mode, ref flags);
    }

    /// <summary>a × b + c, rounded once.</summary>
    public static ulong FusedMultiplyAdd(ulong a, ulong b, ulong c, RoundingMode mode, ref uint flags)
    {
        bool negative = IsNegative(a ^ b);
        bool zeroProduct = IsZero(a) || IsZero(b);
        bool infiniteProduct = IsInfinite(a) || IsInfinite(b);
        if (zeroProduct && infiniteProduct && !(TRules.NaNHidesInvalidProduct && IsNaN(c)))
            return Invalid(ref flags);
        if (IsNaN(a) || IsNaN(b))
        {
            if (IsSignalingNaN(c))
                flags |= FloatFlags.Invalid;
            return PropagateNaN(a, b, ref flags);
        }

        if (IsNaN(c))
            return PropagateNaN(c, c, ref flags);
        if (infiniteProduct)
            return IsInfinite(c) && IsNegative(c) != negative ? Invalid(ref flags) : SignedInfinity(negative);
        if (IsInfinite(c) || zeroProduct)
            return IsZero(c) ? SumOfZeros(Zero(negative), c, mode) : c;

        Wide product = Wide.Product(Unpack(a), Unpack(b));
        return IsZero(c) ? Round(product.Narrow(), mode, ref flags) : Sum(product, Wide.From(Unpack(c)), mode, ref flags);
    }

    /// <summary>a / b.</summary>
    public static ulong Divide(ulong a, ulong b, RoundingMode mode, ref uint flags)
    {
        bool negative = IsNegative(a ^ b);
        if (IsNaN(a) || IsNaN(b))
            return PropagateNaN(a, b, ref flags);
        if (IsInfinite(a))
            return IsInfinite(b) ? Invalid(ref flags) : SignedInfinity(negative);
        if (IsInfinite(b))
            return Zero(negative);
        if (IsZero(b))
        {
            if (IsZero(a))
                return Invalid(ref flags);
            flags |= FloatFlags.DivideByZero;
            return SignedInfinity(negative);
        }

        if (IsZero(a))
            return Zero(negative);
        return Round(Quotient(Unpack(a), Unpack(b)), mode, ref flags);
    }

    /// <summary>The square root of a.</summary>
    public static ulong SquareRoot(ulong a, RoundingMode mode, ref uint flags)
    {
        if (IsNaN(a))
            return PropagateNaN(a, a, ref flags);
        if (IsZero(a))
            return a;
        if (IsNegative(a))
            return Invalid(ref flags);
        return IsInfinite(a) ? a : Round(Root(Unpack(a)), mode, ref flags);
    }

    private static ulong Sum(Wide a, Wide b, RoundingMode mode, ref uint flags)
        => Wide.TrySum(a, b, out Wide sum) ? Round(sum.Narrow(), mode, ref flags) : ExactCancellation(mode);

    private static ulong SumOfZeros(ulong a, ulong b, RoundingMode mode) => a == b ? a : ExactCancellation(mode);

    /// <summary>The zero that x - x is: positive, except where rounding goes down (IEEE 754-2019 §6.3).</summary>
    private static ulong ExactCancellation(RoundingMode mode) => Zero(mode == RoundingMode.Down);

    /// <summary>The quotient to 64 bits, bit 0 sticky.</summary>
    private static Normalized Quotient(Normalized a, Normalized b)
    {
        // A dividend below the divisor gets one bit more, so that the quotient always has its leading one in bit 63.
        bool less = a.Significand < b.Significand;
        UInt128 dividend = less ? new UInt128(a.Significand, 0) : new UInt128(a.Significand >> 1, a.Significand << 63);
        (UInt128 quotient, UInt128 remainder) = UInt128.DivRem(dividend, b.Significand);
        return new(a.Negative != b.Negative, a.Exponent - b.Exponent - (less ? 1 : 0), (ulong)quotient | (remainder == UInt128.Zero ? 0UL : 1));
    }

    /// <summary>The root to 64 bits, bit 0 sticky.</summary>
    private static Normalized Root(Normalized a)
    {
        // The binary point stands after two bits: 01.x for an even exponent, 1x.x for an odd one, so the root is 1.x in both.
        UInt128 radicand = new((a.Exponent & 1) == 0 ? a.Significand >> 1 : a.Significand, 0);

        // The host's root only has to be within 2^32 of the true one: a step of Newton's method never ends below the root and here less than one above it, so
        // rounded down to an integer it is the root rounded down, or one more.
        UInt128 estimate = (ulong)(Math.Sqrt((ulong)(radicand >> 64)) * (1UL << 32));
        ulong root = (ulong)((estimate + (radicand / estimate)) >> 1);
        if (Square(root) > radicand)
            root--;
        return new(false, a.Exponent >> 1, root | (Square(root) == radicand ? 0UL : 1));
    }

    private static UInt128 Square(ulong value)
    {
        ulong high = Math.BigMul(value, value, out ulong low);
        return new(high, low);
    }
}
