using VirtKit.Devices.Pc;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class X64PicTests
{
    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheDatasheetSays()
    {
        var lines = new TestLines();
        var pic = new I8259(lines[0]);
        using var first = new DeviceHarness(pic.Primary, lines);
        first.Note("power-on, then initialisation: vectors from 0x20, cascade, 8086 mode; line 0 is INTR");
        first.Read("IRR", 0, 1);
        first.Read("IMR", 1, 1);
        first.Write("ICW1", 0, 1, 0x11);
        first.Write("ICW2", 1, 1, 0x20);
        first.Write("ICW3", 1, 1, 0x04);
        first.Write("ICW4", 1, 1, 0x01);
        first.Write("OCW1", 1, 1, 0xfe);
        first.Read("IMR", 1, 1);
        first.Note("a masked request waits; an edge is kept when its line falls");
        first.Event("input 3 pulses", () => Pulse(pic, 3));
        first.Read("IRR", 0, 1);
        first.Write("OCW1", 1, 1, 0x00);
        first.Event("input 1 pulses", () => Pulse(pic, 1));
        first.Event("acknowledge, 0x21", () => Assert.Equal(0x21, pic.Acknowledge()));
        first.Write("OCW3 isr", 0, 1, 0x0b);
        first.Read("ISR", 0, 1);
        first.Note("input 3 is less urgent than what is in service; a more urgent one nests");
        first.Event("input 0 pulses", () => Pulse(pic, 0));
        first.Event("acknowledge, 0x20", () => Assert.Equal(0x20, pic.Acknowledge()));
        first.Write("OCW2 EOI", 0, 1, 0x20);
        first.Read("ISR", 0, 1);
        first.Write("OCW2 EOI 1", 0, 1, 0x61);
        first.Read("ISR", 0, 1);
        first.Note("poll");
        first.Write("OCW3 poll", 0, 1, 0x0c);
        first.Read("poll", 0, 1);
        first.Write("OCW2 rotate", 0, 1, 0xa0);
        first.Note("after the rotation input 4 is the most urgent, 3 the least");
        first.Event("inputs 3 and 4 pulse", () =>
        {
            Pulse(pic, 3);
            Pulse(pic, 4);
        });
        first.Event("acknowledge, 0x24", () => Assert.Equal(0x24, pic.Acknowledge()));
        first.Write("OCW2 EOI", 0, 1, 0x20);
        first.Event("acknowledge, 0x23", () => Assert.Equal(0x23, pic.Acknowledge()));
        first.Write("OCW2 EOI", 0, 1, 0x20);
        first.Event("acknowledge, spurious 0x27", () => Assert.Equal(0x27, pic.Acknowledge()));
        first.Event("reset", () => pic.Primary.Reset());
        first.Read("IMR", 1, 1);
        Snapshot.Verify(first.Transcript);
    }

    [Fact]
    public void Cascade_LevelInput_InterruptsUntilItFalls()
    {
        var lines = new TestLines();
        var pic = new I8259(lines[0]);
        Initialize(pic.Primary, 0x20, 4);
        Initialize(pic.Secondary, 0x28, 2);
        pic.EdgeLevel.Write(1, 1, 0xff);
        Assert.Equal(0xdeul, pic.EdgeLevel.Read(1, 1));
        pic.Input(10).Set(true);
        Assert.Equal(0x2a, pic.Acknowledge());
        Assert.False(lines.IsAsserted(0));
        pic.Secondary.Write(0, 1, 0x20);
        pic.Primary.Write(0, 1, 0x20);
        Assert.True(lines.IsAsserted(0));
        pic.Input(10).Set(false);
        Assert.False(lines.IsAsserted(0));
        Assert.Equal(0x27, pic.Acknowledge());
    }

    [Fact]
    public void Initialization_WithAutomaticEoi_LeavesNothingInService()
    {
        var pic = new I8259(default);
        Initialize(pic.Primary, 0x40, 4, icw4: 3);
        for (int i = 0; i < 3; i++)
        {
            Pulse(pic, 5);
            Assert.Equal(0x45, pic.Acknowledge());
        }

        pic.Primary.Write(0, 1, 0x0b);
        Assert.Equal(0ul, pic.Primary.Read(0, 1));
    }

    private static void Initialize(IDevice chip, byte vector, byte cascade, byte icw4 = 1)
    {
        chip.Write(0, 1, 0x11);
        chip.Write(1, 1, vector);
        chip.Write(1, 1, cascade);
        chip.Write(1, 1, icw4);
        chip.Write(1, 1, 0);
    }

    private static void Pulse(I8259 pic, int input)
    {
        pic.Input(input).Set(true);
        pic.Input(input).Set(false);
    }
}
