using System.Numerics;
using VirtKit.Execution.FloatingPoint;

namespace VirtKit.Tests.RiscV;

/// <summary>An exact real number: a fraction, or its square root. The denominator is positive.</summary>
internal readonly record struct Fraction(BigInteger Numerator, BigInteger Denominator, bool Root = false)
{
    public bool Negative => Numerator.Sign < 0;

    public Fraction Negate() => this with { Numerator = -Numerator };

    public Fraction Plus(Fraction other) => new(Numerator * other.Denominator + other.Numerator * Denominator, Denominator * other.Denominator);

    public Fraction Times(Fraction other) => new(Numerator * other.Numerator, Denominator * other.Denominator);

    public Fraction Over(Fraction other) => new(Numerator * other.Denominator * other.Numerator.Sign, Denominator * BigInteger.Abs(other.Numerator));

    /// <summary>Times 2^exponent.</summary>
    public Fraction Scale(int exponent)
        => exponent >= 0 ? this with { Numerator = Numerator << exponent } : this with { Denominator = Denominator << -exponent };

    public int CompareTo(Fraction other) => (Numerator * other.Denominator).CompareTo(other.Numerator * Denominator);

    /// <summary>The exponent of the largest power of two that the magnitude reaches.</summary>
    public int BinaryExponent()
    {
        int exponent = (int)(BigInteger.Abs(Numerator).GetBitLength() - Denominator.GetBitLength()) / (Root ? 2 : 1) + 2;
        while (CompareMagnitude(BigInteger.One, exponent) < 0)
            exponent--;
        return exponent;
    }

    /// <summary>The magnitude in units of 2^scale, rounded to an integer.</summary>
    public BigInteger RoundMagnitude(int scale, RoundingMode mode, out bool inexact)
    {
        Fraction units = Scale(Root ? -2 * scale : -scale);
        BigInteger floor = BigInteger.Abs(units.Numerator) / units.Denominator;
        if (Root)
            floor = FloorOfRoot(floor);
        inexact = CompareMagnitude(floor, scale) != 0;
        int half = CompareMagnitude(2 * floor + 1, scale - 1);
        bool up = mode switch
        {
            RoundingMode.NearestEven => half > 0 || (half == 0 && !floor.IsEven),
            RoundingMode.NearestMaxMagnitude => half >= 0,
            RoundingMode.Up => inexact && !Negative,
            RoundingMode.Down => inexact && Negative,
            _ => false,
        };
        return up ? floor + 1 : floor;
    }

    /// <summary>The order of the magnitude and integer × 2^scale.</summary>
    private int CompareMagnitude(BigInteger integer, int scale)
    {
        Fraction other = new Fraction(integer, 1).Scale(scale);
        if (Root)
            other = other.Times(other);
        return (BigInteger.Abs(Numerator) * other.Denominator).CompareTo(other.Numerator * Denominator);
    }

    /// <summary>The integer square root, by bisection.</summary>
    private static BigInteger FloorOfRoot(BigInteger square)
    {
        BigInteger low = 0, high = BigInteger.One << ((int)square.GetBitLength() / 2 + 1);
        while (high - low > 1)
        {
            BigInteger middle = (low + high) >> 1;
            if (middle * middle <= square)
                low = middle;
            else
                high = middle;
        }

        return low;
    }
}
