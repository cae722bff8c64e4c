namespace VirtKit.Samples.CustomDevice.Tests;

/// <summary>How a device model is tested: its registers by a script, its transcript compared with a reviewed text, and saved at every step.</summary>
public sealed class SquarerTests
{
    private const string Script = """
        # squares within a microsecond
        w4 0 7 NUMBER
        r4 0 NUMBER
        +999
        r4 0 NUMBER
        +1
        r4 0 NUMBER
        w4 4 0 ACKNOWLEDGE
        # the line falls with the next number, too
        w4 0 3 NUMBER
        +1000
        w4 0 4 NUMBER
        # half a register is refused
        r2 0 NUMBER
        reset
        r4 0 NUMBER

        """;

    [Fact]
    public void Registers_OfAScript_AnswerAsTheDatasheetSays()
    {
        using DeviceHarness test = new(Create);
        test.Run(Script);
        // Verify does this comparison with a file of its own: await Verify(test.Transcript).
        Assert.Equal("""
            # squares within a microsecond
            W4        0 NUMBER         <- 00000007          lines []
            R4        0 NUMBER         -> 00000007          lines []
            ! 999 ns later                                 lines []
            R4        0 NUMBER         -> 00000007          lines []
            ! 1 ns later                                   lines [0]
            R4        0 NUMBER         -> 00000031          lines [0]
            W4        4 ACKNOWLEDGE    <- 00000000          lines []

            # the line falls with the next number, too
            W4        0 NUMBER         <- 00000003          lines []
            ! 1000 ns later                                lines [0]
            W4        0 NUMBER         <- 00000004          lines []

            # half a register is refused
            R2        0 NUMBER         -> fault             lines []
            ! reset                                        lines []
            R4        0 NUMBER         -> 00000000          lines []

            """.ReplaceLineEndings("\n"), test.Transcript);
    }

    [Fact]
    public void State_WhileANumberIsSquared_HasTheTimeThatIsLeft()
    {
        using DeviceHarness test = new(Create);
        test.Write("NUMBER", 0, 4, 7);
        Assert.Equal("version = 1\nnumber = 7\ndue = 3e8\nis done = 0\n", test.State);
    }

    [Fact]
    public void Device_SavedAtEveryStep_GoesOn() => DeviceHarness.SnapshotAtEveryStep(Create, Script);

    private static Squarer Create(DeviceHarness harness) => new(harness.Clock, harness.Lines[0]);
}
