using VirtKit.Execution.FloatingPoint;

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
            FloatingPointOperation.Add => SoftFloat<TFormat>.Add(a, b, mode, ref flags),
            FloatingPointOperation.Subtract => SoftFloat<TFormat>.Subtract(a, b, mode, ref flags),
            FloatingPointOperation.Multiply => SoftFloat<TFormat>.Multiply(a, b, mode, ref flags),
            FloatingPointOperation.Divide => SoftFloat<TFormat>.Divide(a, b, mode, ref flags),
            FloatingPointOperation.SquareRoot => SoftFloat<TFormat>.SquareRoot(a, mode, ref flags),
            FloatingPointOperation.FusedMultiplyAdd => SoftFloat<TFormat>.FusedMultiplyAdd(a, b, c, mode, ref flags),
            FloatingPointOperation.Minimum => SoftFloat<TFormat>.Minimum(a, b, ref flags),
            FloatingPointOperation.Maximum => SoftFloat<TFormat>.Maximum(a, b, ref flags),
            FloatingPointOperation.Equal => SoftFloat<TFormat>.Equal(a, b, ref flags),
            FloatingPointOperation.LessThan => SoftFloat<TFormat>.LessThan(a, b, ref flags),
            FloatingPointOperation.LessThanOrEqual => SoftFloat<TFormat>.LessThanOrEqual(a, b, ref flags),
            FloatingPointOperation.Classify => SoftFloat<TFormat>.Classify(a),
            FloatingPointOperation.Convert => SoftFloat<TFormat>.FromFormat<TSource>(a, mode, ref flags),
            FloatingPointOperation.ToInt32 => SoftFloat<TFormat>.ToInt32(a, mode, ref flags),
            FloatingPointOperation.ToUInt32 => SoftFloat<TFormat>.ToUInt32(a, mode, ref flags),
            FloatingPointOperation.ToInt64 => SoftFloat<TFormat>.ToInt64(a, mode, ref flags),
            FloatingPointOperation.ToUInt64 => SoftFloat<TFormat>.ToUInt64(a, mode, ref flags),
            FloatingPointOperation.FromInt32 => SoftFloat<TFormat>.FromInt32(a, mode, ref flags),
            FloatingPointOperation.FromUInt32 => SoftFloat<TFormat>.FromUInt32(a, mode, ref flags),
            FloatingPointOperation.FromInt64 => SoftFloat<TFormat>.FromInt64(a, mode, ref flags),
            FloatingPointOperation.FromUInt64 => SoftFloat<TFormat>.FromUInt64(a, mode, ref flags),
            _ => throw new ArgumentOutOfRangeException(nameof(operation)),
        };
        return (result, flags);
    }
}
