namespace VirtKit.Execution.FloatingPoint;

/// <summary>How an inexact result is rounded (IEEE 754-2019 §4.3).</summary>
/// <remarks>A definition may name other values, of which <see cref="GuestCpu.Float"/> decides what they mean: engines leave them to it. <see cref="SoftFloat{TFormat, TRules}"/>
/// treats them as <see cref="TowardsZero"/>.</remarks>
internal enum RoundingMode : byte
{
    /// <summary>To nearest, ties to even.</summary>
    NearestEven = 0,

    TowardsZero = 1,

    /// <summary>Towards negative infinity.</summary>
    Down = 2,

    /// <summary>Towards positive infinity.</summary>
    Up = 3,

    /// <summary>To nearest, ties to the larger magnitude.</summary>
    NearestMaxMagnitude = 4,

    /// <summary>The mode that a control register of the CPU says: <see cref="CpuContext.HostRounding"/> tells engines whether it is <see cref="NearestEven"/>.</summary>
    Dynamic = 7,
}
