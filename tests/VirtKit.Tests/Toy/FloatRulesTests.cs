using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;
using VirtKit.RiscV;

namespace VirtKit.Tests.Toy;

/// <summary>Where IEEE 754-2019 leaves a choice, an operation ends as the ISA's rules say: RISC-V's, and the toy's, which are x86's.</summary>
public sealed class FloatRulesTests
{
    private const uint One = 0x3f80_0000, Zero = 0, Infinity = 0x7f80_0000, Quiet = 0x7fc0_0123, NegativeQuiet = 0xffc0_0456, Signaling = 0xff80_0001, Large = 0x5015_02f9, NegativeLarge = 0xd015_02f9;

    /// <param name="riscVIsInvalid">Whether the operation raises the invalid exception by RISC-V's rules.</param>
    [Theory]
    [InlineData(FloatOperation.Add, Signaling, Quiet, Zero, 0x7fc0_0000, true, 0xffc0_0001, true)]
    [InlineData(FloatOperation.Add, One, NegativeQuiet, Zero, 0x7fc0_0000, false, NegativeQuiet, false)]
    [InlineData(FloatOperation.Subtract, One, Quiet, Zero, 0x7fc0_0000, false, Quiet, false)]
    [InlineData(FloatOperation.Multiply, Infinity, Zero, Zero, 0x7fc0_0000, true, 0xffc0_0000, true)]
    [InlineData(FloatOperation.SquareRoot, NegativeQuiet, Zero, Zero, 0x7fc0_0000, false, NegativeQuiet, false)]
    [InlineData(FloatOperation.MultiplyAdd, Infinity, Zero, Quiet, 0x7fc0_0000, true, Quiet, false)]
    [InlineData(FloatOperation.MultiplyAdd, Infinity, Zero, Signaling, 0x7fc0_0000, true, 0xffc0_0001, true)]
    [InlineData(FloatOperation.MultiplyAdd, Infinity, Zero, One, 0x7fc0_0000, true, 0xffc0_0000, true)]
    [InlineData(FloatOperation.MultiplyAdd, Quiet, One, Signaling, 0x7fc0_0000, true, Quiet, true)]
    [InlineData(FloatOperation.MultiplySubtract, One, One, Quiet, 0x7fc0_0000, false, Quiet, false)]
    [InlineData(FloatOperation.NegatedMultiplyAdd, Quiet, NegativeQuiet, One, 0x7fc0_0000, false, Quiet, false)]
    [InlineData(FloatOperation.Minimum, Quiet, One, Zero, One, false, One, false)]
    [InlineData(FloatOperation.ToInt32, Quiet, Zero, Zero, int.MaxValue, true, 0xffff_ffff_8000_0000, true)]
    [InlineData(FloatOperation.ToInt32, Large, Zero, Zero, int.MaxValue, true, 0xffff_ffff_8000_0000, true)]
    [InlineData(FloatOperation.ToInt32, NegativeLarge, Zero, Zero, 0xffff_ffff_8000_0000, true, 0xffff_ffff_8000_0000, true)]
    [InlineData(FloatOperation.ToInt64, Infinity, Zero, Zero, long.MaxValue, true, 1UL << 63, true)]
    [InlineData(FloatOperation.ToUInt32, NegativeLarge, Zero, Zero, 0, true, ulong.MaxValue, true)]
    [InlineData(FloatOperation.ToUInt64, NegativeLarge, Zero, Zero, 0, true, ulong.MaxValue, true)]
    public void Compute_WhereTheStandardLeavesAChoice_EndsAsTheRulesSay(
        Enum operation, uint a, uint b, uint c, ulong riscV, bool riscVIsInvalid, ulong toy, bool toyIsInvalid)
    {
        uint riscVFlags = 0, toyFlags = 0;
        Assert.Equal(riscV, SoftFloat<Binary32, RiscVFloatRules>.Compute((FloatOperation)operation, RoundingMode.NearestEven, a, b, c, ref riscVFlags));
        Assert.Equal(toy, SoftFloat<Binary32, ToyFloatRules>.Compute((FloatOperation)operation, RoundingMode.NearestEven, a, b, c, ref toyFlags));
        Assert.Equal((riscVIsInvalid ? FloatFlags.Invalid : 0, toyIsInvalid ? FloatFlags.Invalid : 0), (riscVFlags, toyFlags));
    }

    [Fact]
    public void FromFormat_OfANaN_KeepsWhatFitsOrNothing()
    {
        uint flags = 0;
        Assert.Equal(0xfff8_008a_c000_0000, SoftFloat<Binary64, ToyFloatRules>.FromFormat<Binary32>(NegativeQuiet, RoundingMode.NearestEven, ref flags));
        Assert.Equal(NegativeQuiet, SoftFloat<Binary32, ToyFloatRules>.FromFormat<Binary64>(0xfff8_008a_c000_0001, RoundingMode.NearestEven, ref flags));
        Assert.Equal(0x7ff8_0000_0000_0000u, SoftFloat<Binary64, RiscVFloatRules>.FromFormat<Binary32>(NegativeQuiet, RoundingMode.NearestEven, ref flags));
        Assert.Equal(0u, flags);
    }
}
