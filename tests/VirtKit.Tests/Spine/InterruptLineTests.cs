namespace VirtKit.Tests.Spine;

public sealed class InterruptLineTests
{
    [Fact]
    public void Set_OnADetachedLine_DoesNothing() => default(InterruptLine).Set(true);

    [Fact]
    public void Set_OnALine_ReachesItsInput()
    {
        var sink = new Sink();
        new InterruptLine(sink, 5).Set(true);
        new InterruptLine(sink, 6).Set(false);
        Assert.Equal([(5, true), (6, false)], sink.Calls);
    }

    [Fact]
    public void Equality_OfLines_IsThatOfTheirEnds()
    {
        var sink = new Sink();
        var line = new InterruptLine(sink, 1);
        Assert.True(line == new InterruptLine(sink, 1));
        Assert.Equal(line.GetHashCode(), new InterruptLine(sink, 1).GetHashCode());
        Assert.True(line != new InterruptLine(sink, 2));
        Assert.True(line != new InterruptLine(new Sink(), 1));
        Assert.True(line != default);
        Assert.Throws<ArgumentNullException>(() => new InterruptLine(null!, 0));
    }

    private sealed class Sink : IInterruptSink
    {
        public List<(int Input, bool Level)> Calls { get; } = [];

        public void SetInput(int input, bool level) => Calls.Add((input, level));
    }
}
