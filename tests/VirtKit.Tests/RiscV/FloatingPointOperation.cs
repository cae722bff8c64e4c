using VirtKit.Execution.FloatingPoint;
using VirtKit.RiscV;

namespace VirtKit.Tests.RiscV;

/// <summary>The operations of SoftFloat, numbered as FloatingPointProbe.c knows them.</summary>
public enum FloatingPointOperation
{
    Add,
    Subtract,
    Multiply,
    Divide,
    SquareRoot,
    FusedMultiplyAdd,
    Minimum,
    Maximum,
    Equal,
    LessThan,
    LessThanOrEqual,
    Classify,
    Convert,
    ToInt32,
    ToUInt32,
    ToInt64,
    ToUInt64,
    FromInt32,
    FromUInt32,
    FromInt64,
    FromUInt64,
}

internal static class FloatingPointOperations
{
    public static readonly FloatingPointOperation[] All = Enum.GetValues<FloatingPointOperation>();

    public static bool TakesInteger(this FloatingPointOperation operation) => operation >= FloatingPointOperation.FromInt32;

    public static bool ReturnsInteger(this FloatingPointOperation operation)
        => operation is >= FloatingPointOperation.Equal and <= FloatingPointOperation.Classify
            or >= FloatingPointOperation.ToInt32 and <= FloatingPointOperation.ToUInt64;

    /// <summary>The subject's answer; Convert comes from <typeparamref name="TSource"/>.</summary>
    public static (ulong Result, uint Flags) Run<TFormat, TSource>(FloatingPointOperation operation, ulong a, ulong b, ulong c, RoundingMode mode)
        where TFormat : struct, IFloatFormat
        where TSource : struct, IFloatFormat
    {
        uint flags = 0;
        ulong result = operation switch
        {
            FloatingPointOperation.Add => SoftFloat<TFormat, RiscVFloatRules>.Add(a, b, mode, ref flags),
            FloatingPointOperation.Subtract => SoftFloat<TFormat, RiscVFloatRules>.Subtract(a, b, mode, ref flags),
            FloatingPointOperation.Multiply => SoftFloat<TFormat, RiscVFloatRules>.Multiply(a, b, mode, ref flags),
            FloatingPointOperation.Divide => SoftFloat<TFormat, RiscVFloatRules>.Divide(a, b, mode, ref flags),
            FloatingPointOperation.SquareRoot => SoftFloat<TFormat, RiscVFloatRules>.SquareRoot(a, mode, ref flags),
            FloatingPointOperation.FusedMultiplyAdd => SoftFloat<TFormat, RiscVFloatRules>.FusedMultiplyAdd(a, b, c, mode, ref flags),
            FloatingPointOperation.Minimum => SoftFloat<TFormat, RiscVFloatRules>.Minimum(a, b, ref flags),
            FloatingPointOperation.Maximum => SoftFloat<TFormat, RiscVFloatRules>.Maximum(a, b, ref flags),
            FloatingPointOperation.Equal => SoftFloat<TFormat, RiscVFloatRules>.Equal(a, b, ref flags),
            FloatingPointOperation.LessThan => SoftFloat<TFormat, RiscVFloatRules>.LessThan(a, b, ref flags),
            FloatingPointOperation.LessThanOrEqual => SoftFloat<TFormat, RiscVFloatRules>.LessThanOrEqual(a, b, ref flags),
            FloatingPointOperation.Classify => SoftFloat<TFormat, RiscVFloatRules>.Classify(a),
            FloatingPointOperation.Convert => SoftFloat<TFormat, RiscVFloatRules>.FromFormat<TSource>(a, mode, ref flags),
            FloatingPointOperation.ToInt32 => SoftFloat<TFormat, RiscVFloatRules>.ToInt32(a, mode, ref flags),
            FloatingPointOperation.ToUInt32 => SoftFloat<TFormat, RiscVFloatRules>.ToUInt32(a, mode, ref flags),
            FloatingPointOperation.ToInt64 => SoftFloat<TFormat, RiscVFloatRules>.ToInt64(a, mode, ref flags),
            FloatingPointOperation.ToUInt64 => SoftFloat<TFormat, RiscVFloatRules>.ToUInt64(a, mode, ref flags),
            FloatingPointOperation.FromInt32 => SoftFloat<TFormat, RiscVFloatRules>.FromInt32(a, mode, ref flags),
            FloatingPointOperation.FromUInt32 => SoftFloat<TFormat, RiscVFloatRules>.FromUInt32(a, mode, ref flags),
            FloatingPointOperation.FromInt64 => SoftFloat<TFormat, RiscVFloatRules>.FromInt64(a, mode, ref flags),
            FloatingPointOperation.FromUInt64 => SoftFloat<TFormat, RiscVFloatRules>.FromUInt64(a, mode, ref flags),
            _ => throw new ArgumentOutOfRangeException(nameof(operation)),
        };
        return (result, flags);
    }
}
