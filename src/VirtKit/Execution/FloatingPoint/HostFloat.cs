using System.Numerics;
using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.Execution.FloatingPoint;

/// <summary>The host's own arithmetic where its result is all there is to an operation: rounding to nearest even with the inexact flag standing already, a normal
/// result, no NaN. Everything else is <see cref="GuestCpu.Float"/>'s. Never calls anything.</summary>
/// <typeparam name="T"><see cref="float"/> or <see cref="double"/>.</typeparam>
/// <typeparam name="TForm">How registers hold a single; of no meaning for doubles.</typeparam>
internal static unsafe class HostFloat<T, TForm> where T : unmanaged, IBinaryFloatingPointIeee754<T> where TForm : struct, ISingleForm
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private static int FractionBits
    {
        [MethodImpl(Inline)]
        get => (sizeof(T) == 8) ? 52 : 23;
    }

    private static ulong MaxExponent
    {
        [MethodImpl(Inline)]
        get => (sizeof(T) == 8) ? 0x7ffUL : 0xff;
    }

    private static ulong SignBit
    {
        [MethodImpl(Inline)]
        get => (sizeof(T) == 8) ? 1UL << 63 : 1UL << 31;
    }

    /// <param name="hostRounding"><see cref="CpuContext.HostRounding"/>.</param>
    /// <param name="mode">As the definition names it.</param>
    /// <param name="x">Register bits.</param>
    /// <returns>Whether <paramref name="result"/> is the whole effect; if not, nothing is known.</returns>
    /// <remarks>Each case is a call to a small method, so that what is left of the switch for a constant operation is always inlined.</remarks>
    [MethodImpl(Inline)]
    public static bool TryCompute(FloatOperation operation, uint hostRounding, RoundingMode mode, ulong x, ulong y, ulong z, out ulong result) => operation switch
    {
        FloatOperation.Add => Rounds(hostRounding, mode) & AreBoxed(x, y) & Finite(Number(x) + Number(y), out result),
        FloatOperation.Subtract => Rounds(hostRounding, mode) & AreBoxed(x, y) & Finite(Number(x) - Number(y), out result),
        FloatOperation.Multiply => Rounds(hostRounding, mode) & AreBoxed(x, y) & Product(x, y, out result),
        FloatOperation.Divide => Rounds(hostRounding, mode) & AreBoxed(x, y) & Quotient(x, y, out result),
        FloatOperation.SquareRoot => Rounds(hostRounding, mode) & IsBoxed(x) & Finite(T.Sqrt(Number(x)), out result),
        FloatOperation.MultiplyAdd => Rounds(hostRounding, mode) & AreBoxed(x, y) & IsBoxed(z) & Fused(Number(x), Number(y), Number(z), out result),
        FloatOperation.MultiplySubtract => Rounds(hostRounding, mode) & AreBoxed(x, y) & IsBoxed(z) & Fused(Number(x), Number(y), -Number(z), out result),
        FloatOperation.NegatedMultiplyAdd => Rounds(hostRounding, mode) & AreBoxed(x, y) & IsBoxed(z) & Fused(-Number(x), Number(y), -Number(z), out result),
        FloatOperation.NegatedMultiplySubtract => Rounds(hostRounding, mode) & AreBoxed(x, y) & IsBoxed(z) & Fused(-Number(x), Number(y), Number(z), out result),
        FloatOperation.Minimum => AreNumbers(x, y) & Lesser(x, y, out result),
        FloatOperation.Maximum => AreNumbers(x, y) & Greater(x, y, out result),
        FloatOperation.SignCopy => AreBoxed(x, y) & Yields(Moved(x & ~SignBit | y & SignBit), out result),
        FloatOperation.SignNegate => AreBoxed(x, y) & Yields(Moved(x & ~SignBit | ~y & SignBit), out result),
        FloatOperation.SignXor => AreBoxed(x, y) & Yields(Moved(x ^ y & SignBit), out result),
        FloatOperation.Equal => AreNumbers(x, y) & Yields(Number(x) == Number(y) ? 1UL : 0, out result),
        FloatOperation.Less => AreNumbers(x, y) & Yields(Number(x) < Number(y) ? 1UL : 0, out result),
        FloatOperation.LessOrEqual => AreNumbers(x, y) & Yields(Number(x) <= Number(y) ? 1UL : 0, out result),
        FloatOperation.Convert => Convert(x, boxed: false, mode, hostRounding, out result),
        FloatOperation.ConvertBoxed => Convert(x, boxed: true, mode, hostRounding, out result),
        FloatOperation.ToInt32 => ToInt32(x, mode, hostRounding, out result),
        FloatOperation.ToInt64 => ToInt64(x, mode, hostRounding, out result),
        FloatOperation.FromInt32 => FromInteger((int)x, mode, hostRounding, out result),
        FloatOperation.FromUInt32 => FromInteger((uint)x, mode, hostRounding, out result),
        FloatOperation.FromInt64 => FromInteger((long)x, mode, hostRounding, out result),
        _ => !Yields(0, out result),
    };

    [MethodImpl(Inline)]
    private static bool Rounds(uint hostRounding, RoundingMode mode) => (hostRounding >> (int)mode & 1) != 0;

    [MethodImpl(Inline)]
    private static bool Yields(ulong value, out ulong result)
    {
        result = value;
        return true;
    }

    /// <summary>A product of 0 has no normal result, but is exact where the other operand is finite.</summary>
    [MethodImpl(Inline)]
    private static bool Product(ulong x, ulong y, out ulong result) =>
        Normal(Number(x) * Number(y), out result) || (IsZero(x) & IsFinite(y)) || (IsZero(y) & IsFinite(x));

    [MethodImpl(Inline)]
    private static bool Quotient(ulong x, ulong y, out ulong result) =>
        (Normal(Number(x) / Number(y), out result) & IsFinite(y)) || (IsZero(x) & !IsZero(y) & IsFinite(y));

    [MethodImpl(Inline)]
    private static bool Fused(T x, T y, T z, out ulong result) => Normal(T.FusedMultiplyAdd(x, y, z), out result);

    /// <summary>Of two zeros, the negative one is the lesser.</summary>
    [MethodImpl(Inline)]
    private static bool Lesser(ulong x, ulong y, out ulong result) => Yields(Moved(Number(x) < Number(y) ? x : Number(x) > Number(y) ? y : x | y), out result);

    [MethodImpl(Inline)]
    private static bool Greater(ulong x, ulong y, out ulong result) => Yields(Moved(Number(x) > Number(y) ? x : Number(x) < Number(y) ? y : x & y), out result);

    [MethodImpl(Inline)]
    private static bool AreBoxed(ulong x, ulong y) => (sizeof(T) == 8) || !TForm.IsBoxed || (x & y) >> 32 == uint.MaxValue;

    [MethodImpl(Inline)]
    private static bool AreNumbers(ulong x, ulong y) => AreBoxed(x, y) & !T.IsNaN(Number(x)) & !T.IsNaN(Number(y));

    [MethodImpl(Inline)]
    private static bool Convert(ulong x, bool boxed, RoundingMode mode, uint hostRounding, out ulong result)
    {
        if ((sizeof(T) == 8))
            return TryWiden(boxed, mode, hostRounding, x, out result);
        float narrowed = (float)BitConverter.UInt64BitsToDouble(x);
        return Normal(Unsafe.BitCast<float, T>(narrowed), out result) & Rounds(hostRounding, mode);
    }

    [MethodImpl(Inline)]
    private static bool ToInt32(ulong x, RoundingMode mode, uint hostRounding, out ulong result)
    {
        double number = Double(x);
        int integer = (int)number;
        result = (ulong)integer;
        return IsBoxed(x) & number > -2147483649.0 & number < 2147483648.0 && Truncated(integer == number, mode, hostRounding);
    }

    [MethodImpl(Inline)]
    private static bool ToInt64(ulong x, RoundingMode mode, uint hostRounding, out ulong result)
    {
        double number = Double(x);
        long integer = (long)number;
        result = (ulong)integer;
        return IsBoxed(x) & number >= -9223372036854775808.0 & number < 9223372036854775808.0 && Truncated(integer == number, mode, hostRounding);
    }

    /// <summary>The operand as a double, which every single is exactly.</summary>
    [MethodImpl(Inline)]
    private static double Double(ulong bits) => (sizeof(T) == 8) ? BitConverter.UInt64BitsToDouble(bits) : BitConverter.UInt32BitsToSingle((uint)bits);

    [MethodImpl(Inline)]
    private static T Number(ulong bits) => (sizeof(T) == 8)
        ? Unsafe.BitCast<double, T>(BitConverter.UInt64BitsToDouble(bits))
        : Unsafe.BitCast<float, T>(BitConverter.UInt32BitsToSingle((uint)bits));

    [MethodImpl(Inline)]
    private static ulong Bits(T number) => (sizeof(T) == 8)
        ? BitConverter.DoubleToUInt64Bits(Unsafe.BitCast<T, double>(number))
        : Single(BitConverter.SingleToUInt32Bits(Unsafe.BitCast<T, float>(number)));

    /// <summary>The register of a single.</summary>
    [MethodImpl(Inline)]
    private static ulong Single(uint bits) => TForm.IsBoxed ? FloatFormats.AboveBoxed | bits : bits;

    /// <summary>What an operation on bits left of its operands, as a result.</summary>
    [MethodImpl(Inline)]
    private static ulong Moved(ulong bits) => (sizeof(T) == 8) || TForm.IsBoxed ? bits : (uint)bits;

    [MethodImpl(Inline)]
    private static bool IsBoxed(ulong bits) => (sizeof(T) == 8) || !TForm.IsBoxed || bits >> 32 == uint.MaxValue;

    [MethodImpl(Inline)]
    private static ulong Exponent(ulong bits) => bits >> FractionBits & MaxExponent;

    [MethodImpl(Inline)]
    private static bool IsFinite(ulong bits) => Exponent(bits) != MaxExponent;

    [MethodImpl(Inline)]
    private static bool IsZero(ulong bits) => (bits & (SignBit - 1)) == 0;

    /// <summary>Sums and roots cannot underflow: a subnormal one is exact.</summary>
    [MethodImpl(Inline)]
    private static bool Finite(T number, out ulong bits)
    {
        bits = Bits(number);
        return IsFinite(bits);
    }

    /// <summary>An exponent of 1 may have been reached by rounding up from below, which is an underflow.</summary>
    [MethodImpl(Inline)]
    private static bool Normal(T number, out ulong bits)
    {
        bits = Bits(number);
        return Exponent(bits) - 2 < MaxExponent - 2;
    }

    /// <summary>Single to double is exact, but for NaNs.</summary>
    [MethodImpl(Inline)]
    private static bool TryWiden(bool boxed, RoundingMode mode, uint hostRounding, ulong x, out ulong result)
    {
        result = BitConverter.DoubleToUInt64Bits(BitConverter.UInt32BitsToSingle((uint)x));
        return (!boxed | x >> 32 == uint.MaxValue) & (x >> 23 & 0xff) != 0xff && IsValid(mode, hostRounding);
    }

    /// <summary>A whole number converts exactly in every mode; another one towards zero, and its inexactness has to be flagged already.</summary>
    [MethodImpl(Inline)]
    private static bool Truncated(bool exact, RoundingMode mode, uint hostRounding) =>
        exact ? IsValid(mode, hostRounding) : mode == RoundingMode.TowardsZero & Rounds(hostRounding, RoundingMode.NearestEven);

    [MethodImpl(Inline)]
    private static bool FromInteger(long integer, RoundingMode mode, uint hostRounding, out ulong result)
    {
        result = (sizeof(T) == 8) ? BitConverter.DoubleToUInt64Bits(integer) : Single(BitConverter.SingleToUInt32Bits(integer));
        long limit = 1L << (FractionBits + 1);
        return (integer >= -limit & integer <= limit && IsValid(mode, hostRounding)) || Rounds(hostRounding, mode);
    }

    /// <summary>Whether the mode is a known one. What a dynamic one means is known while the host rounds.</summary>
    [MethodImpl(Inline)]
    private static bool IsValid(RoundingMode mode, uint hostRounding) => mode <= RoundingMode.NearestMaxMagnitude || Rounds(hostRounding, mode);
}

/// <summary>How registers of 64 bits hold a single.</summary>
internal interface ISingleForm
{
    /// <summary><see cref="FloatFormat.BoxedSingle"/> rather than <see cref="FloatFormat.Single"/>.</summary>
    static abstract bool IsBoxed { get; }
}

internal readonly struct Boxed : ISingleForm
{
    public static bool IsBoxed => true;
}

internal readonly struct Unboxed : ISingleForm
{
    public static bool IsBoxed => false;
}
