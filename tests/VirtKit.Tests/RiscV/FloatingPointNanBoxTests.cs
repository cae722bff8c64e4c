using VirtKit.Execution.FloatingPoint;
using VirtKit.RiscV;

namespace VirtKit.Tests.RiscV;

public sealed class FloatingPointNanBoxTests
{
    [Theory]
    [InlineData(0xffff_ffff_3f80_0000, 0x3f80_0000)]
    [InlineData(0xffff_ffff_0000_0000, 0)]
    [InlineData(0xffff_ffff_ffff_ffff, 0xffff_ffff)]
    [InlineData(0xffff_fffe_3f80_0000, 0x7fc0_0000)]
    [InlineData(0x7fff_ffff_3f80_0000, 0x7fc0_0000)]
    [InlineData(0x0000_0000_3f80_0000, 0x7fc0_0000)]
    public void Unbox_Register_ReadsSingleOrCanonicalNaN(ulong register, ulong single) => Assert.Equal(single, NanBox.Unbox(register));

    [Fact]
    public void Box_Single_FillsUpperHalfWithOnes() => Assert.Equal(0xffff_ffff_8000_0000, NanBox.Box(0x8000_0000));
}
