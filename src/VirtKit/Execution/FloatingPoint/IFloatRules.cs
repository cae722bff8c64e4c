namespace VirtKit.Execution.FloatingPoint;

/// <summary>What IEEE 754-2019 leaves to the architecture, as an ISA chooses it. The properties are constants.</summary>
internal interface IFloatRules
{
    /// <summary>The sign of the default NaN, which is the result of an invalid operation on numbers: quiet, otherwise empty.</summary>
    static abstract bool DefaultNaNIsNegative { get; }

    /// <summary>Whether an operation on NaNs results in the first operand that is one, made quiet (IEEE 754-2019 §6.2.3). If not, it results in the default NaN.</summary>
    static abstract bool PropagatesNaNs { get; }

    /// <summary>Whether infinity times zero plus a NaN is an operation on a NaN. If not, it is an invalid operation (IEEE 754-2019 §7.2 leaves this case open).</summary>
    static abstract bool NaNHidesInvalidProduct { get; }

    /// <summary>Whether a number outside of an integer's range converts to the nearest integer, and a NaN to the highest. If not, all of them convert to one
    /// integer: the lowest signed one, the highest unsigned one.</summary>
    static abstract bool IntegersSaturate { get; }
}
