using System.Numerics;
using VirtKit.Execution.FloatingPoint;

namespace VirtKit.Tests.RiscV;

/// <summary>IEEE 754 by its definitions, on exact fractions of big integers: slow, and in nothing like the subject.</summary>
internal sealed class FloatingPointOracle(int exponentBits, int fractionBits)
{
    private uint _flags;

    private int MaxField => (1 << exponentBits) - 1;

    private int MaxExponent => MaxField / 2;

    private int MinExponent => 1 - MaxExponent;

    private ulong Sign => 1UL << (exponentBits + fractionBits);

    private ulong Infinity => (ulong)MaxField << fractionBits;

    private ulong NaN => Infinity | 1UL << (fractionBits - 1);

    public static FloatingPointOracle Of<TFormat>()
        where TFormat : struct, IFloatFormat => new(TFormat.ExponentBits, TFormat.FractionBits);

    /// <summary>The result and its flags; Convert takes its operand from <paramref name="source"/>.</summary>
    public (ulong Result, uint Flags) Run(FloatingPointOperation operation, ulong a, ulong b, ulong c, RoundingMode mode, FloatingPointOracle source)
    {
        _flags = 0;
        ulong result = operation switch
        {
            FloatingPointOperation.Add => Sum(a, b, mode),
            FloatingPointOperation.Subtract => Sum(a, b ^ Sign, mode),
            FloatingPointOperation.Multiply => Multiply(a, b, mode),
            FloatingPointOperation.Divide => Divide(a, b, mode),
            FloatingPointOperation.SquareRoot => SquareRoot(a, mode),
            FloatingPointOperation.FusedMultiplyAdd => FusedMultiplyAdd(a, b, c, mode),
            FloatingPointOperation.Minimum => Extreme(a, b, -1),
            FloatingPointOperation.Maximum => Extreme(a, b, 1),
            FloatingPointOperation.Equal => Compare(a, b, false, s => s == 0),
            FloatingPointOperation.LessThan => Compare(a, b, true, s => s < 0),
            FloatingPointOperation.LessThanOrEqual => Compare(a, b, true, s => s <= 0),
            FloatingPointOperation.Classify => Classify(a),
            FloatingPointOperation.Convert => Convert(a, mode, source),
            FloatingPointOperation.ToInt32 => ToInteger(a, mode, int.MinValue, int.MaxValue),
            FloatingPointOperation.ToUInt32 => ToInteger(a, mode, 0, uint.MaxValue),
            FloatingPointOperation.ToInt64 => ToInteger(a, mode, long.MinValue, long.MaxValue),
            FloatingPointOperation.ToUInt64 => ToInteger(a, mode, 0, ulong.MaxValue),
            FloatingPointOperation.FromInt32 => Round(new((int)a, 1), mode, false),
            FloatingPointOperation.FromUInt32 => Round(new((uint)a, 1), mode, false),
            FloatingPointOperation.FromInt64 => Round(new((long)a, 1), mode, false),
            FloatingPointOperation.FromUInt64 => Round(new(a, 1), mode, false),
            _ => throw new ArgumentOutOfRangeException(nameof(operation)),
        };
        return (result, _flags);
    }

    private bool IsNaN(ulong x) => (x & ~Sign) > Infinity;

    private bool IsInfinite(ulong x) => (x & ~Sign) == Infinity;

    private bool IsZero(ulong x) => (x & ~Sign) == 0;

    private bool Signals(ulong x) => IsNaN(x) && (x >> (fractionBits - 1) & 1) == 0;

    private bool IsNegative(ulong x) => (x & Sign) != 0;

    private ulong Flagged(uint flag, ulong result)
    {
        _flags |= flag;
        return result;
    }

    /// <summary>The rules for a NaN operand; null if there is none.</summary>
    private ulong? NaNRule(params ReadOnlySpan<ulong> operands)
    {
        ulong? result = null;
        foreach (ulong x in operands)
        {
            if (IsNaN(x))
                result = Flagged(Signals(x) ? FloatFlags.Invalid : 0, NaN);
        }

        return result;
    }

    private Fraction Value(ulong x)
    {
        int field = (int)(x >> fractionBits) & MaxField;
        BigInteger significand = (x & ((1UL << fractionBits) - 1)) + (field == 0 ? 0 : 1UL << fractionBits);
        Fraction magnitude = new Fraction(significand, 1).Scale(Math.Max(field, 1) - MaxExponent - fractionBits);
        return IsNegative(x) ? magnitude.Negate() : magnitude;
    }

    private ulong Sum(ulong a, ulong b, RoundingMode mode)
    {
        if (NaNRule(a, b) is { } nan)
            return nan;
        if (IsInfinite(a) && IsInfinite(b) && a != b)
            return Flagged(FloatFlags.Invalid, NaN);
        if (IsInfinite(a) || IsInfinite(b))
            return IsInfinite(a) ? a : b;
        return Round(Value(a).Plus(Value(b)), mode, ZeroSign(IsNegative(a), IsNegative(b), mode));
    }

    private static bool ZeroSign(bool a, bool b, RoundingMode mode) => a == b ? a : mode == RoundingMode.Down;

    private ulong Multiply(ulong a, ulong b, RoundingMode mode)
    {
        ulong sign = (a ^ b) & Sign;
        if (NaNRule(a, b) is { } nan)
            return nan;
        if (IsInfinite(a) || IsInfinite(b))
            return IsZero(a) || IsZero(b) ? Flagged(FloatFlags.Invalid, NaN) : sign | Infinity;
        return Round(Value(a).Times(Value(b)), mode, sign != 0);
    }

    private ulong Divide(ulong a, ulong b, RoundingMode mode)
    {
        ulong sign = (a ^ b) & Sign;
        if (NaNRule(a, b) is { } nan)
            return nan;
        if ((IsInfinite(a) && IsInfinite(b)) || (IsZero(a) && IsZero(b)))
            return Flagged(FloatFlags.Invalid, NaN);
        if (IsInfinite(a))
            return sign | Infinity;
        if (IsInfinite(b))
            return sign;
        return IsZero(b) ? Flagged(FloatFlags.DivideByZero, sign | Infinity) : Round(Value(a).Over(Value(b)), mode, sign != 0);
    }

    private ulong SquareRoot(ulong a, RoundingMode mode)
    {
        if (NaNRule(a) is { } nan)
            return nan;
        if (IsNegative(a) && !IsZero(a))
            return Flagged(FloatFlags.Invalid, NaN);
        return IsInfinite(a) || IsZero(a) ? a : Round(Value(a) with { Root = true }, mode, false);
    }

    private ulong FusedMultiplyAdd(ulong a, ulong b, ulong c, RoundingMode mode)
    {
        bool negative = ((a ^ b) & Sign) != 0;
        bool invalidProduct = (IsInfinite(a) && IsZero(b)) || (IsZero(a) && IsInfinite(b));
        if (invalidProduct)
            return Flagged(FloatFlags.Invalid, NaN);
        if (NaNRule(a, b, c) is { } nan)
            return nan;
        if (IsInfinite(a) || IsInfinite(b))
            return IsInfinite(c) && IsNegative(c) != negative ? Flagged(FloatFlags.Invalid, NaN) : Infinity | (negative ? Sign : 0);
        return IsInfinite(c) ? c : Round(Value(a).Times(Value(b)).Plus(Value(c)), mode, ZeroSign(negative, IsNegative(c), mode));
    }

    private ulong Extreme(ulong a, ulong b, int direction)
    {
        ulong? nan = NaNRule(a, b);
        if (nan is not null)
            return !IsNaN(a) ? a : !IsNaN(b) ? b : NaN;
        int sign = Order(a, b);
        if (sign == 0)
            sign = IsNegative(b).CompareTo(IsNegative(a));
        return sign * direction >= 0 ? a : b;
    }

    private ulong Compare(ulong a, ulong b, bool signaling, Predicate<int> holds)
    {
        if (NaNRule(a, b) is not null)
            return Flagged(signaling ? FloatFlags.Invalid : 0, 0);
        return holds(Order(a, b)) ? 1UL : 0;
    }

    private int Order(ulong a, ulong b) => Extended(a).CompareTo(Extended(b));

    /// <summary>A finite stand-in for infinity that exceeds every finite number of the format.</summary>
    private Fraction Extended(ulong x)
        => !IsInfinite(x) ? Value(x) : new Fraction(IsNegative(x) ? BigInteger.MinusOne : BigInteger.One, 1).Scale(MaxExponent + 2);

    private ulong Classify(ulong a)
    {
        if (IsNaN(a))
            return Signals(a) ? 0x100UL : 0x200;
        bool subnormal = !IsZero(a) && (a & Infinity) == 0;
        return (IsNegative(a), IsInfinite(a), subnormal, IsZero(a)) switch
        {
            (true, true, _, _) => 0x01,
            (true, _, true, _) => 0x04,
            (true, _, _, true) => 0x08,
            (true, _, _, _) => 0x02,
            (false, true, _, _) => 0x80,
            (false, _, true, _) => 0x20,
            (false, _, _, true) => 0x10,
            (false, _, _, _) => 0x40,
        };
    }

    private ulong Convert(ulong a, RoundingMode mode, FloatingPointOracle source)
    {
        if (source.IsNaN(a))
            return Flagged(source.Signals(a) ? FloatFlags.Invalid : 0, NaN);
        ulong sign = source.IsNegative(a) ? Sign : 0;
        return source.IsInfinite(a) ? sign | Infinity : Round(source.Value(a), mode, sign != 0);
    }

    private ulong ToInteger(ulong a, RoundingMode mode, BigInteger lowest, BigInteger highest)
    {
        BigInteger result;
        if (IsNaN(a) || IsInfinite(a))
        {
            result = IsNegative(a) && !IsNaN(a) ? lowest : highest;
            _flags |= FloatFlags.Invalid;
        }
        else
        {
            Fraction value = Value(a);
            BigInteger magnitude = value.RoundMagnitude(0, mode, out bool inexact);
            BigInteger rounded = value.Negative ? -magnitude : magnitude;
            result = BigInteger.Clamp(rounded, lowest, highest);
            _flags |= result != rounded ? FloatFlags.Invalid : inexact ? FloatFlags.Inexact : 0;
        }

        ulong bits = (ulong)(result & ulong.MaxValue);
        return highest == uint.MaxValue ? (ulong)(int)(uint)bits : bits;
    }

    /// <summary>Correct rounding by definition: the result as if the exponent had no bounds decides overflow and tininess.</summary>
    private ulong Round(Fraction exact, RoundingMode mode, bool negativeZero)
    {
        if (exact.Numerator.IsZero)
            return negativeZero ? Sign : 0;
        ulong sign = exact.Negative ? Sign : 0;
        int precise = exact.BinaryExponent() - fractionBits;
        int scale = Math.Max(precise, MinExponent - fractionBits);
        Fraction unbounded = new Fraction(exact.RoundMagnitude(precise, mode, out _), 1).Scale(precise);
        BigInteger significand = exact.RoundMagnitude(scale, mode, out bool inexact);

        if (unbounded.CompareTo(new Fraction(1, 1).Scale(MaxExponent + 1)) >= 0)
        {
            _flags |= FloatFlags.Overflow | FloatFlags.Inexact;
            bool stays = mode == RoundingMode.TowardsZero || (mode == RoundingMode.Down && sign == 0) || (mode == RoundingMode.Up && sign != 0);
            return sign | (stays ? Infinity - 1 : Infinity);
        }

        if (inexact)
            _flags |= unbounded.CompareTo(new Fraction(1, 1).Scale(MinExponent)) < 0 ? FloatFlags.Inexact | FloatFlags.Underflow : FloatFlags.Inexact;
        if (significand == BigInteger.One << (fractionBits + 1))
            (significand, scale) = (significand >> 1, scale + 1);
        BigInteger hidden = BigInteger.One << fractionBits;
        ulong field = significand < hidden ? 0 : (ulong)(scale + fractionBits + MaxExponent);
        return sign | field << fractionBits | (ulong)(significand % hidden);
    }
}
