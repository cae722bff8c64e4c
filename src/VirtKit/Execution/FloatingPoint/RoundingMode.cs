namespace VirtKit.Execution.FloatingPoint;

/// <summary>How an inexact result is rounded; the values are the encoding of frm and of the rm field (RV-Unpriv §20.2).</summary>
/// <remarks>The caller resolves dynamic (7) and traps on the reserved values; an operation that gets one all the same rounds as TowardsZero does.</remarks>
internal enum RoundingMode : byte
{
    /// <summary>RNE: to nearest, ties to even.</summary>
    NearestEven = 0,

    /// <summary>RTZ: towards zero.</summary>
    TowardsZero = 1,

    /// <summary>RDN: towards negative infinity.</summary>
    Down = 2,

    /// <summary>RUP: towards positive infinity.</summary>
    Up = 3,

    /// <summary>RMM: to nearest, ties to the larger magnitude.</summary>
    NearestMaxMagnitude = 4,
}
