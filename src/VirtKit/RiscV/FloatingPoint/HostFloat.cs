using System.Numerics;
using System.Runtime.CompilerServices;

namespace VirtKit.RiscV.FloatingPoint;

/// <summary>The host's own arithmetic where its result is all there is to an operation: rounding to nearest even with the inexact flag standing already, a normal
/// result, no NaN. Whatever else may be goes to <see cref="SoftFloat{TFormat}"/>. Never calls anything.</summary>
/// <typeparam name="T"><see cref="float"/> or <see cref="double"/>.</typeparam>
internal static class HostFloat<T> where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private static bool IsDouble
    {
        [MethodImpl(Inline)]
        get => typeof(T) == typeof(double);
    }

    private static int FractionBits
    {
        [MethodImpl(Inline)]
        get => IsDouble ? 52 : 23;
    }

    private static ulong MaxExponent
    {
        [MethodImpl(Inline)]
        get => IsDouble ? 0x7ffUL : 0xff;
    }

    private static ulong SignBit
    {
        [MethodImpl(Inline)]
        get => IsDouble ? 1UL << 63 : 1UL << 31;
    }

    /// <param name="hostRounding"><see cref="HartContext.HostRounding"/>.</param>
    /// <param name="roundingMode">The instruction's rm field.</param>
    /// <param name="x">Register bits.</param>
    /// <returns>Whether <paramref name="result"/> is the whole effect; if not, nothing is known.</returns>
    [MethodImpl(Inline)]
    public static bool TryCompute(FloatOperation operation, uint hostRounding, int roundingMode, ulong x, ulong y, ulong z, out ulong result)
    {
        result = 0;
        bool rounds = (hostRounding >> roundingMode & 1) != 0;
        switch (operation)
        {
            case FloatOperation.Add:
                return rounds & IsBoxed(x) & IsBoxed(y) && Finite(Number(x) + Number(y), out result);
            case FloatOperation.Subtract:
                return rounds & IsBoxed(x) & IsBoxed(y) && Finite(Number(x) - Number(y), out result);
            case FloatOperation.Multiply:
                return rounds & IsBoxed(x) & IsBoxed(y) && (Normal(Number(x) * Number(y), out result) || IsZero(x) & IsFinite(y) || IsZero(y) & IsFinite(x));
            case FloatOperation.Divide:
                return rounds & IsBoxed(x) & IsBoxed(y) && (Normal(Number(x) / Number(y), out result) || IsZero(x) & !IsZero(y) & IsFinite(y));
            case FloatOperation.SquareRoot:
                return rounds & IsBoxed(x) && Finite(T.Sqrt(Number(x)), out result);
            case FloatOperation.MultiplyAdd:
                return rounds & IsBoxed(x) & IsBoxed(y) & IsBoxed(z) && Normal(T.FusedMultiplyAdd(Number(x), Number(y), Number(z)), out result);
            case FloatOperation.MultiplySubtract:
                return rounds & IsBoxed(x) & IsBoxed(y) & IsBoxed(z) && Normal(T.FusedMultiplyAdd(Number(x), Number(y), -Number(z)), out result);
            case FloatOperation.NegatedMultiplyAdd:
                return rounds & IsBoxed(x) & IsBoxed(y) & IsBoxed(z) && Normal(T.FusedMultiplyAdd(-Number(x), Number(y), -Number(z)), out result);
            case FloatOperation.NegatedMultiplySubtract:
                return rounds & IsBoxed(x) & IsBoxed(y) & IsBoxed(z) && Normal(T.FusedMultiplyAdd(-Number(x), Number(y), Number(z)), out result);
            case FloatOperation.Minimum:
                result = Number(x) < Number(y) ? x : Number(x) > Number(y) ? y : x | y;
                return IsBoxed(x) & IsBoxed(y) && !IsNaN(x) & !IsNaN(y);
            case FloatOperation.Maximum:
                result = Number(x) > Number(y) ? x : Number(x) < Number(y) ? y : x & y;
                return IsBoxed(x) & IsBoxed(y) && !IsNaN(x) & !IsNaN(y);
            case FloatOperation.SignCopy:
                result = x & ~SignBit | y & SignBit;
                return IsBoxed(x) & IsBoxed(y);
            case FloatOperation.SignNegate:
                result = x & ~SignBit | ~y & SignBit;
                return IsBoxed(x) & IsBoxed(y);
            case FloatOperation.SignXor:
                result = x ^ y & SignBit;
                return IsBoxed(x) & IsBoxed(y);
            case FloatOperation.Equal:
                result = Number(x) == Number(y) ? 1UL : 0;
                return IsBoxed(x) & IsBoxed(y) && !IsNaN(x) & !IsNaN(y);
            case FloatOperation.Less:
                result = Number(x) < Number(y) ? 1UL : 0;
                return IsBoxed(x) & IsBoxed(y) && !IsNaN(x) & !IsNaN(y);
            case FloatOperation.LessOrEqual:
                result = Number(x) <= Number(y) ? 1UL : 0;
                return IsBoxed(x) & IsBoxed(y) && !IsNaN(x) & !IsNaN(y);
            case FloatOperation.Convert:
                return IsDouble ? TryWiden(roundingMode, hostRounding, x, out result) : rounds && Normal(T.CreateTruncating(BitConverter.UInt64BitsToDouble(x)), out result);
            case FloatOperation.ToInt32:
            {
                T number = Number(x);
                int integer = IsDouble ? (int)BitConverter.UInt64BitsToDouble(x) : (int)BitConverter.UInt32BitsToSingle((uint)x);
                result = (ulong)integer;
                return IsBoxed(x) && (IsDouble ? Between(x, -2147483648.0, 2147483648.0) : Between(x, -2147483648.0f, 2147483648.0f))
                    && Truncated(integer, number, roundingMode, hostRounding);
            }

            case FloatOperation.ToInt64:
            {
                T number = Number(x);
                long integer = IsDouble ? (long)BitConverter.UInt64BitsToDouble(x) : (long)BitConverter.UInt32BitsToSingle((uint)x);
                result = (ulong)integer;
                return IsBoxed(x) && (IsDouble ? Between(x, -9223372036854775808.0, 9223372036854775808.0) : Between(x, -9223372036854775808.0f, 9223372036854775808.0f))
                    && Truncated(integer, number, roundingMode, hostRounding);
            }

            case FloatOperation.FromInt32:
                return FromInteger((int)x, roundingMode, hostRounding, out result);
            case FloatOperation.FromUInt32:
                return FromInteger((uint)x, roundingMode, hostRounding, out result);
            case FloatOperation.FromInt64:
                return FromInteger((long)x, roundingMode, hostRounding, out result);
            default:
                return false;
        }
    }

    [MethodImpl(Inline)]
    private static T Number(ulong bits) => IsDouble
        ? Unsafe.BitCast<double, T>(BitConverter.UInt64BitsToDouble(bits))
        : Unsafe.BitCast<float, T>(BitConverter.UInt32BitsToSingle((uint)bits));

    [MethodImpl(Inline)]
    private static ulong Bits(T number) => IsDouble
        ? BitConverter.DoubleToUInt64Bits(Unsafe.BitCast<T, double>(number))
        : NanBox.Box(BitConverter.SingleToUInt32Bits(Unsafe.BitCast<T, float>(number)));

    [MethodImpl(Inline)]
    private static bool IsBoxed(ulong bits) => IsDouble || bits >> 32 == uint.MaxValue;

    [MethodImpl(Inline)]
    private static ulong Exponent(ulong bits) => bits >> FractionBits & MaxExponent;

    [MethodImpl(Inline)]
    private static bool IsFinite(ulong bits) => Exponent(bits) != MaxExponent;

    [MethodImpl(Inline)]
    private static bool IsZero(ulong bits) => (bits & (SignBit - 1)) == 0;

    [MethodImpl(Inline)]
    private static bool IsNaN(ulong bits) => T.IsNaN(Number(bits));

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
    private static bool TryWiden(int roundingMode, uint hostRounding, ulong x, out ulong result)
    {
        result = BitConverter.DoubleToUInt64Bits(BitConverter.UInt32BitsToSingle((uint)x));
        return x >> 32 == uint.MaxValue & (x >> 23 & 0xff) != 0xff && IsValid(roundingMode, hostRounding);
    }

    [MethodImpl(Inline)]
    private static bool Between(ulong bits, double low, double high) => BitConverter.UInt64BitsToDouble(bits) >= low && BitConverter.UInt64BitsToDouble(bits) < high;

    [MethodImpl(Inline)]
    private static bool Between(ulong bits, float low, float high) => BitConverter.UInt32BitsToSingle((uint)bits) >= low && BitConverter.UInt32BitsToSingle((uint)bits) < high;

    /// <summary>A whole number converts exactly in every mode; another one towards zero, and its inexactness has to be flagged already.</summary>
    [MethodImpl(Inline)]
    private static bool Truncated(long integer, T number, int roundingMode, uint hostRounding) =>
        T.CreateTruncating(integer) == number ? IsValid(roundingMode, hostRounding) : roundingMode == 1 & (hostRounding & 1) != 0;

    [MethodImpl(Inline)]
    private static bool FromInteger(long integer, int roundingMode, uint hostRounding, out ulong result)
    {
        result = IsDouble ? BitConverter.DoubleToUInt64Bits(integer) : NanBox.Box(BitConverter.SingleToUInt32Bits(integer));
        long limit = 1L << (FractionBits + 1);
        return (integer >= -limit & integer <= limit && IsValid(roundingMode, hostRounding)) || (hostRounding >> roundingMode & 1) != 0;
    }

    /// <summary>Whether the rm field is no reserved one; what a dynamic one means is known while the host rounds.</summary>
    [MethodImpl(Inline)]
    private static bool IsValid(int roundingMode, uint hostRounding) => roundingMode < 5 || (hostRounding >> roundingMode & 1) != 0;
}
