using System.Numerics;
using System.Runtime.CompilerServices;

namespace VirtKit.Execution.FloatingPoint;

/// <summary>
/// Exact IEEE 754-2019 arithmetic on bit patterns. Where the standard leaves a choice, the ISA's rules make it; tininess is detected after rounding.
/// </summary>
/// <remarks>
/// Operands and results stand in the low bits of a <see cref="ulong"/>, zero above; how a register holds them is the caller's. Flags are added to what
/// <c>flags</c> holds (<see cref="FloatFlags"/>). Nothing here allocates, throws or keeps state: every operation can be called through a function pointer.
/// Each operation settles NaNs, infinities and zeros first, then computes on <see cref="Normalized"/> numbers and rounds exactly once, in <c>Round</c>.
/// </remarks>
internal static partial class SoftFloat<TFormat, TRules>
    where TFormat : struct, IFloatFormat
    where TRules : struct, IFloatRules
{
    /// <summary>The format's constants fold only where they are inlined, and without a profile (NativeAOT, for one) the compiler judges them not worth it:
    /// three to six times slower.</summary>
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>The result of an invalid operation on numbers.</summary>
    public static ulong DefaultNaN { [MethodImpl(Inline)] get => Zero(TRules.DefaultNaNIsNegative) | Infinity | QuietBit; }

    /// <summary>The sign bit: exclusive-or negates, NaNs included.</summary>
    public static ulong SignBit { [MethodImpl(Inline)] get => 1UL << (TFormat.ExponentBits + TFormat.FractionBits); }

    private static int MaxBiasedExponent { [MethodImpl(Inline)] get => (1 << TFormat.ExponentBits) - 1; }

    private static int Bias { [MethodImpl(Inline)] get => MaxBiasedExponent >> 1; }

    /// <summary>The exponent of the smallest normal number, which subnormal numbers share.</summary>
    private static int MinExponent { [MethodImpl(Inline)] get => 1 - Bias; }

    /// <summary>Bits of a normalized significand that the format cannot hold.</summary>
    private static int ExcessBits { [MethodImpl(Inline)] get => 63 - TFormat.FractionBits; }

    private static ulong FractionMask { [MethodImpl(Inline)] get => (1UL << TFormat.FractionBits) - 1; }

    private static ulong QuietBit { [MethodImpl(Inline)] get => 1UL << (TFormat.FractionBits - 1); }

    private static ulong Infinity { [MethodImpl(Inline)] get => (ulong)MaxBiasedExponent << TFormat.FractionBits; }

    [MethodImpl(Inline)]
    private static bool IsNegative(ulong bits) => (bits & SignBit) != 0;

    [MethodImpl(Inline)]
    private static ulong Magnitude(ulong bits) => bits & (SignBit - 1);

    [MethodImpl(Inline)]
    private static bool IsFinite(ulong bits) => Magnitude(bits) < Infinity;

    [MethodImpl(Inline)]
    private static bool IsZero(ulong bits) => Magnitude(bits) == 0;

    [MethodImpl(Inline)]
    private static bool IsInfinite(ulong bits) => Magnitude(bits) == Infinity;

    [MethodImpl(Inline)]
    private static bool IsNaN(ulong bits) => Magnitude(bits) > Infinity;

    [MethodImpl(Inline)]
    private static bool IsSignalingNaN(ulong bits) => IsNaN(bits) && (bits & QuietBit) == 0;

    [MethodImpl(Inline)]
    private static ulong Zero(bool negative) => negative ? SignBit : 0;

    [MethodImpl(Inline)]
    private static ulong SignedInfinity(bool negative) => Zero(negative) | Infinity;

    /// <summary>The result of an operation that has none.</summary>
    private static ulong Invalid(ref uint flags)
    {
        flags |= FloatFlags.Invalid;
        return DefaultNaN;
    }

    /// <summary>The result of an operation of which an operand is a NaN; invalid if one signals.</summary>
    private static ulong PropagateNaN(ulong a, ulong b, ref uint flags)
    {
        if (IsSignalingNaN(a) || IsSignalingNaN(b))
            flags |= FloatFlags.Invalid;
        return TRules.PropagatesNaNs ? (IsNaN(a) ? a : b) | QuietBit : DefaultNaN;
    }

    /// <summary>The number with the other sign. A NaN stays as it is, so that it can be the result.</summary>
    [MethodImpl(Inline)]
    private static ulong Negated(ulong bits) => IsNaN(bits) ? bits : bits ^ SignBit;

    /// <summary>Takes a finite number other than zero apart; a subnormal number is normalized.</summary>
    [MethodImpl(Inline)]
    private static Normalized Unpack(ulong bits)
    {
        ulong fraction = bits & FractionMask;
        int biased = (int)(bits >> TFormat.FractionBits) & MaxBiasedExponent;
        if (biased != 0)
            return new(IsNegative(bits), biased - Bias, (fraction << ExcessBits) | (1UL << 63));

        int shift = BitOperations.LeadingZeroCount(fraction);
        return new(IsNegative(bits), MinExponent + ExcessBits - shift, fraction << shift);
    }
}
