namespace VirtKit.Execution.FloatingPoint;

/// <content>Every operation by its name.</content>
internal static partial class SoftFloat<TFormat, TRules>
{
    /// <summary>An operation on numbers of this format, which a conversion from or to an integer has on one side only. Conversions between formats are
    /// <see cref="FromFormat{TSource}"/>.</summary>
    /// <param name="mode">Never <see cref="RoundingMode.Dynamic"/>.</param>
    public static ulong Compute(FloatOperation operation, RoundingMode mode, ulong a, ulong b, ulong c, ref uint flags) => operation switch
    {
        FloatOperation.Add => Add(a, b, mode, ref flags),
        FloatOperation.Subtract => Subtract(a, b, mode, ref flags),
        FloatOperation.Multiply => Multiply(a, b, mode, ref flags),
        FloatOperation.Divide => Divide(a, b, mode, ref flags),
        FloatOperation.SquareRoot => SquareRoot(a, mode, ref flags),
        FloatOperation.MultiplyAdd => FusedMultiplyAdd(a, b, c, mode, ref flags),
        FloatOperation.MultiplySubtract => FusedMultiplyAdd(a, b, Negated(c), mode, ref flags),
        FloatOperation.NegatedMultiplyAdd => FusedMultiplyAdd(Negated(a), b, Negated(c), mode, ref flags),
        FloatOperation.NegatedMultiplySubtract => FusedMultiplyAdd(Negated(a), b, c, mode, ref flags),
        FloatOperation.Minimum => Minimum(a, b, ref flags),
        FloatOperation.Maximum => Maximum(a, b, ref flags),
        FloatOperation.SignCopy => a & ~SignBit | b & SignBit,
        FloatOperation.SignNegate => a & ~SignBit | ~b & SignBit,
        FloatOperation.SignXor => a ^ b & SignBit,
        FloatOperation.Equal => Equal(a, b, ref flags),
        FloatOperation.Less => LessThan(a, b, ref flags),
        FloatOperation.LessOrEqual => LessThanOrEqual(a, b, ref flags),
        FloatOperation.Classify => Classify(a),
        FloatOperation.ToInt32 => ToInt32(a, mode, ref flags),
        FloatOperation.ToUInt32 => ToUInt32(a, mode, ref flags),
        FloatOperation.ToInt64 => ToInt64(a, mode, ref flags),
        FloatOperation.ToUInt64 => ToUInt64(a, mode, ref flags),
        FloatOperation.FromInt32 => FromInt32(a, mode, ref flags),
        FloatOperation.FromUInt32 => FromUInt32(a, mode, ref flags),
        FloatOperation.FromInt64 => FromInt64(a, mode, ref flags),
        FloatOperation.FromUInt64 => FromUInt64(a, mode, ref flags),
        _ => throw new ArgumentOutOfRangeException(nameof(operation)),
    };
}
