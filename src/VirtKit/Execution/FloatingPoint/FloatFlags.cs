namespace VirtKit.Execution.FloatingPoint;

/// <summary>The exceptions of IEEE 754-2019 §7, as bits of a mask. Operations set bits and never clear one; an ISA maps them to its own register.</summary>
internal static class FloatFlags
{
    public const uint Inexact = 1;

    /// <summary>Inexact, and tiny after rounding.</summary>
    public const uint Underflow = 2;

    public const uint Overflow = 4;

    public const uint DivideByZero = 8;

    public const uint Invalid = 16;
}
