namespace VirtKit.Execution.FloatingPoint;

/// <summary>A binary interchange format (IEEE 754-2019 §3.4): sign, biased exponent, fraction, from the top bit down.</summary>
/// <remarks><see cref="SoftFloat{TFormat, TRules}"/> takes every format of at most 64 bits with 3 or more exponent bits and 2 to 52 fraction bits.</remarks>
internal interface IFloatFormat
{
    /// <summary>Width of the biased exponent in bits.</summary>
    static abstract int ExponentBits { get; }

    /// <summary>Width of the fraction in bits, without the implicit leading one.</summary>
    static abstract int FractionBits { get; }
}

/// <summary>Single precision.</summary>
internal readonly struct Binary32 : IFloatFormat
{
    public static int ExponentBits => 8;

    public static int FractionBits => 23;
}

/// <summary>Double precision.</summary>
internal readonly struct Binary64 : IFloatFormat
{
    public static int ExponentBits => 11;

    public static int FractionBits => 52;
}
