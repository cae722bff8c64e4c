using System.Numerics;
using System.Runtime.CompilerServices;

namespace VirtKit.Execution.FloatingPoint;

/// <summary>
/// Exact IEEE 754-2019 arithmetic on bit patterns, with RISC-V's choices where the standard leaves one: every NaN result is the canonical NaN, tininess is
/// detected after rounding, conversions to integers saturate (RV-Unpriv §20, §21).
/// </summary>
/// <remarks>
/// Operands and results stand in the low bits of a <see cref="ulong"/>, zero above; NaN boxing is the caller's. Flags are added to what
/// <c>flags</c> holds (<see cref="FFlags"/>). Nothing here allocates, throws or keeps state: every operation can be called through a function pointer.
/// Each operation settles NaNs, infinities and zeros first, then computes on <see cref="Normalized"/> numbers and rounds exactly once, in <c>Round</c>.
/// </remarks>
internal static partial class SoftFloat<TFormat>
    where TFormat : struct, IFloatFormat
{
    /// <summary>The format's constants fold only where they are inlined, and without a profile (NativeAOT, for one) the compiler judges them not worth it:
    /// three to six times slower.</summary>
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>The NaN that every operation with a NaN result returns: quiet, positive, otherwise empty (RV-Unpriv §20.3).</summary>
    public static ulong CanonicalNaN { [MethodImpl(Inline)] get => Infinity | QuietBit; }

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
        flags |= FFlags.NV;
        return CanonicalNaN;
    }

    /// <summary>The result of an operation on a NaN: the canonical one, invalid if an operand signals.</summary>
    private static ulong PropagateNaN(ulong a, ulong b, ref uint flags)
        => IsSignalingNaN(a) || IsSignalingNaN(b) ? Invalid(ref flags) : CanonicalNaN;

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
