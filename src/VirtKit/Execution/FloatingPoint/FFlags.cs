namespace VirtKit.Execution.FloatingPoint;

/// <summary>The accrued exceptions, as bits of fflags (RV-Unpriv §20.2). Operations set bits and never clear one.</summary>
internal static class FFlags
{
    /// <summary>Inexact.</summary>
    public const uint NX = 1;

    /// <summary>Underflow: inexact and tiny after rounding.</summary>
    public const uint UF = 2;

    /// <summary>Overflow.</summary>
    public const uint OF = 4;

    /// <summary>Divide by zero.</summary>
    public const uint DZ = 8;

    /// <summary>Invalid operation.</summary>
    public const uint NV = 16;
}
