using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;

namespace VirtKit.RiscV;

/// <summary>Singles in 64-bit floating-point registers (RV-Unpriv §21.2): the upper half holds all ones.</summary>
internal static class NanBox
{
    /// <summary>The register value that holds a single; only the lower 32 bits of <paramref name="single"/> count.</summary>
    public static ulong Box(ulong single) => FloatFormats.AboveBoxed | single;

    /// <summary>The single that an operation reads from a register, zero-extended: the canonical NaN unless the register holds a proper box.</summary>
    public static ulong Unbox(ulong register) => register >= FloatFormats.AboveBoxed ? (uint)register : SoftFloat<Binary32, RiscVFloatRules>.DefaultNaN;
}
