using VirtKit.Execution.FloatingPoint;

namespace VirtKit.Tests.RiscV;

/// <summary>SoftFloat in the default rounding mode against the host's own arithmetic, NaN results normalised: over three million cases a run.</summary>
public sealed class FloatingPointHostTests
{
    private const int Rounds = 150_000;

    [Fact]
    public void RandomOperands_Doubles_AgreeWithTheHost()
    {
        FloatingPointOperands operands = new();
        for (int i = 0; i < Rounds; i++)
        {
            (ulong a, ulong b, ulong c) = operands.Triple<Binary64>();
            (double x, double y, double z) = (BitConverter.UInt64BitsToDouble(a), BitConverter.UInt64BitsToDouble(b), BitConverter.UInt64BitsToDouble(c));
            ulong n = operands.Integer();
            Check(FloatingPointOperation.Add, Bits(x + y));
            Check(FloatingPointOperation.Subtract, Bits(x - y));
            Check(FloatingPointOperation.Multiply, Bits(x * y));
            Check(FloatingPointOperation.Divide, Bits(x / y));
            Check(FloatingPointOperation.SquareRoot, Bits(Math.Sqrt(x)));
            Check(FloatingPointOperation.FusedMultiplyAdd, Bits(Math.FusedMultiplyAdd(x, y, z)));
            Check(FloatingPointOperation.Equal, x == y ? 1UL : 0);
            Check(FloatingPointOperation.LessThan, x < y ? 1UL : 0);
            Check(FloatingPointOperation.LessThanOrEqual, x <= y ? 1UL : 0);
            a = n;
            Check(FloatingPointOperation.FromInt64, Bits((double)(long)n));
            Check(FloatingPointOperation.FromInt32, Bits((double)(int)n));
            Check(FloatingPointOperation.FromUInt32, Bits((double)(uint)n));
            a = operands.Number<Binary32>();
            Check(FloatingPointOperation.Convert, Bits((double)Single(a)));

            void Check(FloatingPointOperation operation, ulong expected)
            {
                ulong actual = FloatingPointOperations.Run<Binary64, Binary32>(operation, a, b, c, RoundingMode.NearestEven).Result;
                if (actual != expected)
                    Assert.Fail($"{operation} a={a:x} b={b:x} c={c:x}: {actual:x}, expected {expected:x}; seed {operands.Seed}");
            }
        }
    }

    [Fact]
    public void RandomOperands_Singles_AgreeWithTheHost()
    {
        FloatingPointOperands operands = new();
        for (int i = 0; i < Rounds; i++)
        {
            (ulong a, ulong b, ulong c) = operands.Triple<Binary32>();
            (float x, float y, float z) = (Single(a), Single(b), Single(c));
            ulong n = operands.Integer();
            Check(FloatingPointOperation.Add, Bits(x + y));
            Check(FloatingPointOperation.Subtract, Bits(x - y));
            Check(FloatingPointOperation.Multiply, Bits(x * y));
            Check(FloatingPointOperation.Divide, Bits(x / y));
            Check(FloatingPointOperation.SquareRoot, Bits(MathF.Sqrt(x)));
            Check(FloatingPointOperation.FusedMultiplyAdd, Bits(MathF.FusedMultiplyAdd(x, y, z)));
            Check(FloatingPointOperation.Equal, x == y ? 1UL : 0);
            Check(FloatingPointOperation.LessThan, x < y ? 1UL : 0);
            Check(FloatingPointOperation.LessThanOrEqual, x <= y ? 1UL : 0);
            a = n;
            Check(FloatingPointOperation.FromInt64, Bits((float)(long)n));
            Check(FloatingPointOperation.FromInt32, Bits((float)(int)n));
            a = operands.Number<Binary64>();
            Check(FloatingPointOperation.Convert, Bits((float)BitConverter.UInt64BitsToDouble(a)));

            void Check(FloatingPointOperation operation, ulong expected)
            {
                ulong actual = FloatingPointOperations.Run<Binary32, Binary64>(operation, a, b, c, RoundingMode.NearestEven).Result;
                if (actual != expected)
                    Assert.Fail($"{operation} a={a:x} b={b:x} c={c:x}: {actual:x}, expected {expected:x}; seed {operands.Seed}");
            }
        }
    }

    private static float Single(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);

    private static ulong Bits(double value) => double.IsNaN(value) ? 0x7ff8_0000_0000_0000 : BitConverter.DoubleToUInt64Bits(value);

    private static ulong Bits(float value) => float.IsNaN(value) ? 0x7fc0_0000 : BitConverter.SingleToUInt32Bits(value);
}
