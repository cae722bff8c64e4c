using VirtKit.Execution.FloatingPoint;

namespace VirtKit.Tests.RiscV;

/// <summary>SoftFloat against <see cref="FloatingPointOracle"/>: results and flags in every rounding mode.</summary>
public sealed class FloatingPointOracleTests
{
    [Fact]
    public void RandomOperands_EveryOperationOfSingles_AgreeWithExactArithmetic() => RunRandom<Binary32, Binary64>(150_000);

    [Fact]
    public void RandomOperands_EveryOperationOfDoubles_AgreeWithExactArithmetic() => RunRandom<Binary64, Binary32>(100_000);

    [Fact]
    public void RandomOperands_EveryOperationOfHalves_AgreeWithExactArithmetic() => RunRandom<Binary16, Binary64>(50_000);

    /// <summary>A format of seven bits has every class of numbers and few enough of them to try all pairs.</summary>
    [Fact]
    public void AllPairs_EveryOperationOfATinyFormat_AgreeWithExactArithmetic()
    {
        FloatingPointOracle oracle = FloatingPointOracle.Of<Binary7>();
        FloatingPointOracle source = FloatingPointOracle.Of<Binary16>();
        foreach (FloatingPointOperation operation in FloatingPointOperations.All)
        {
            if (operation is FloatingPointOperation.FusedMultiplyAdd)
                continue;
            ulong seconds = operation is FloatingPointOperation.SquareRoot or >= FloatingPointOperation.Classify ? 1UL : 128;
            for (ulong a = 0; a < (operation is FloatingPointOperation.Convert ? 65536UL : 128); a++)
            {
                for (ulong b = 0; b < seconds; b++)
                    CheckAllModes(operation, a, b, 0);
            }
        }

        for (ulong abc = 0; abc < 1 << 21; abc += 13)
            CheckAllModes(FloatingPointOperation.FusedMultiplyAdd, abc & 127, abc >> 7 & 127, abc >> 14);

        void CheckAllModes(FloatingPointOperation operation, ulong a, ulong b, ulong c)
        {
            for (RoundingMode mode = RoundingMode.NearestEven; mode <= RoundingMode.NearestMaxMagnitude; mode++)
                Check<Binary7, Binary16>(oracle, source, operation, a, b, c, mode, "none");
        }
    }

    private static void RunRandom<TFormat, TSource>(int cases)
        where TFormat : struct, IFloatFormat
        where TSource : struct, IFloatFormat
    {
        FloatingPointOracle oracle = FloatingPointOracle.Of<TFormat>();
        FloatingPointOracle source = FloatingPointOracle.Of<TSource>();
        FloatingPointOperands operands = new();
        for (int i = 0; i < cases; i++)
        {
            FloatingPointOperation operation = operands.Operation();
            (ulong a, ulong b, ulong c) = operands.Triple<TFormat>();
            if (operation.TakesInteger())
                a = operands.Integer();
            else if (operation is FloatingPointOperation.Convert)
                a = operands.Number<TSource>();
            Check<TFormat, TSource>(oracle, source, operation, a, b, c, operands.Mode(), operands.Seed);
        }
    }

    private static void Check<TFormat, TSource>(
        FloatingPointOracle oracle,
        FloatingPointOracle source,
        FloatingPointOperation operation,
        ulong a,
        ulong b,
        ulong c,
        RoundingMode mode,
        object seed)
        where TFormat : struct, IFloatFormat
        where TSource : struct, IFloatFormat
    {
        (ulong Result, uint Flags) expected = oracle.Run(operation, a, b, c, mode, source);
        (ulong Result, uint Flags) actual = FloatingPointOperations.Run<TFormat, TSource>(operation, a, b, c, mode);
        if (actual != expected)
        {
            Assert.Fail($"{operation} {mode} a={a:x} b={b:x} c={c:x}: {actual.Result:x} flags {actual.Flags}, "
                + $"expected {expected.Result:x} flags {expected.Flags}; seed {seed}");
        }
    }

    private readonly struct Binary16 : IFloatFormat
    {
        public static int ExponentBits => 5;

        public static int FractionBits => 10;
    }

    private readonly struct Binary7 : IFloatFormat
    {
        public static int ExponentBits => 3;

        public static int FractionBits => 3;
    }
}
