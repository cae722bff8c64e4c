namespace VirtKit.Tests;

public sealed class AddressSpaceTests
{
    [Fact]
    public void TryGetSpan_AcrossTheEnd_IsRefused()
    {
        using var space = new AddressSpace();
        space.MapRam(new Gpa(0x1000), 0x2000);
        Assert.True(space.TryGetSpan(new Gpa(0x1ff8), 0x1008, out Span<byte> span));
        Assert.Equal(0x1008, span.Length);
        Assert.False(space.TryGetSpan(new Gpa(0x1ff8), 0x1009, out _));
        Assert.False(space.TryGetSpan(new Gpa(ulong.MaxValue), 2, out _));
    }
}
