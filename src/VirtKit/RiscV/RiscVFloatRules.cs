using VirtKit.Execution.FloatingPoint;

namespace VirtKit.RiscV;

/// <summary>RISC-V's choices: every NaN result is the canonical NaN (RV-Unpriv §20.3), infinity times zero is invalid whatever is added (§20.6), conversions to
/// integers saturate (§20.7). The values of <see cref="FloatFlags"/> and <see cref="RoundingMode"/> are those of fflags, and of frm and the rm field (§20.2).</summary>
internal readonly struct RiscVFloatRules : IFloatRules
{
    public static bool DefaultNaNIsNegative => false;

    public static bool PropagatesNaNs => false;

    public static bool NaNHidesInvalidProduct => false;

    public static bool IntegersSaturate => true;
}
