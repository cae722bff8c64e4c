using System.Globalization;
using VirtKit.Execution.FloatingPoint;
using VirtKit.RiscV;

namespace VirtKit.Tests.RiscV;

/// <summary>Random operands that lean to where rounding, cancellation and range go wrong. The seed comes from VIRTKIT_SEED, otherwise from the clock; it is
/// printed.</summary>
internal sealed class FloatingPointOperands
{
    private readonly Random _random;

    public FloatingPointOperands()
    {
        Seed = int.TryParse(Environment.GetEnvironmentVariable("VIRTKIT_SEED"), CultureInfo.InvariantCulture, out int seed) ? seed : Environment.TickCount;
        _random = new Random(Seed);
        TestContext.Current.TestOutputHelper?.WriteLine($"VIRTKIT_SEED={Seed}");
    }

    public int Seed { get; }

    public RoundingMode Mode() => (RoundingMode)_random.Next(5);

    public FloatingPointOperation Operation() => FloatingPointOperations.All[_random.Next(FloatingPointOperations.All.Length)];

    public bool OneIn(int n) => _random.Next(n) == 0;

    public ulong Bits() => (ulong)_random.NextInt64() ^ ((ulong)_random.NextInt64() << 1);

    /// <summary>Operands for any operation of <typeparamref name="TFormat"/> but Convert: in half of the cases the second is near the first, the third near the
    /// negated product.</summary>
    public (ulong A, ulong B, ulong C) Triple<TFormat>()
        where TFormat : struct, IFloatFormat
    {
        ulong a = Number<TFormat>();
        ulong b = OneIn(2) ? Number<TFormat>() : Near<TFormat>(a);
        uint flags = 0;
        ulong c = OneIn(2) ? Number<TFormat>() : Near<TFormat>(SoftFloat<TFormat, RiscVFloatRules>.Multiply(a, b, Mode(), ref flags) ^ SoftFloat<TFormat, RiscVFloatRules>.SignBit);
        return (a, b, c);
    }

    /// <summary>An integer of random length, or near a power of two.</summary>
    public ulong Integer()
    {
        ulong magnitude = _random.Next(3) switch
        {
            0 => Bits() >> _random.Next(64),
            1 => (1UL << _random.Next(64)) + (ulong)_random.Next(5) - 2,
            _ => (1UL << _random.Next(64)) | (1UL << _random.Next(64)) | (1UL << _random.Next(64)) | (OneIn(2) ? 1UL : 0),
        };
        return OneIn(2) ? magnitude : 0 - magnitude;
    }

    /// <summary>Any bit pattern of the format.</summary>
    public ulong Number<TFormat>()
        where TFormat : struct, IFloatFormat
    {
        int maxExponent = (1 << TFormat.ExponentBits) - 1;
        int bias = maxExponent >> 1;
        int exponent = _random.Next(16) switch
        {
            0 or 1 => 0,
            2 => 1,
            3 => maxExponent - 1,
            4 => maxExponent,
            5 => _random.Next(TFormat.FractionBits + 2),
            6 => maxExponent - 1 - _random.Next(TFormat.FractionBits + 2),
            7 or 8 or 9 => bias + _random.Next(-4, 5),
            10 or 11 => bias + _random.Next(-2, 67),
            12 => bias / 2 + _random.Next(-2, 3),
            _ => _random.Next(maxExponent + 1),
        };
        return Zero<TFormat>(OneIn(2)) | (ulong)Math.Clamp(exponent, 0, maxExponent) << TFormat.FractionBits | Fraction<TFormat>();
    }

    /// <summary>A number a few units in the last place, or a few exponents, away.</summary>
    private ulong Near<TFormat>(ulong number)
        where TFormat : struct, IFloatFormat
    {
        ulong mask = (SoftFloat<TFormat, RiscVFloatRules>.SignBit << 1) - 1;
        ulong fractionMask = (1UL << TFormat.FractionBits) - 1;
        ulong near = OneIn(2)
            ? number + (ulong)_random.Next(-3, 4)
            : (number + ((ulong)_random.Next(-3, 4) << TFormat.FractionBits)) & ~fractionMask | (OneIn(2) ? number & fractionMask : Fraction<TFormat>());
        return (OneIn(2) ? near : near ^ SoftFloat<TFormat, RiscVFloatRules>.SignBit) & mask;
    }

    private ulong Fraction<TFormat>()
        where TFormat : struct, IFloatFormat
    {
        int bits = TFormat.FractionBits;
        ulong fraction = _random.Next(8) switch
        {
            0 => 0,
            1 => (ulong)_random.Next(4),
            2 => (ulong)-_random.Next(1, 4),
            3 => 1UL << _random.Next(bits),
            4 => (1UL << (bits - 1)) + (ulong)_random.Next(-2, 3),
            5 => 1UL << _random.Next(bits) | 1UL << _random.Next(bits),
            6 => ulong.MaxValue << _random.Next(bits),
            _ => Bits(),
        };
        return fraction & ((1UL << bits) - 1);
    }

    private static ulong Zero<TFormat>(bool negative)
        where TFormat : struct, IFloatFormat => negative ? SoftFloat<TFormat, RiscVFloatRules>.SignBit : 0;
}
