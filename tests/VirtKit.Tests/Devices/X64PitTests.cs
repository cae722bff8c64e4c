using VirtKit.Devices.Pc;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class X64PitTests
{
    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheDatasheetSays()
    {
        var lines = new TestLines();
        var clock = new TestClock();
        using var pit = new I8254(clock, lines[0]);
        using var script = new DeviceHarness(pit, lines);
        script.Note("mode 0, interrupt on terminal count: 1000 ticks are 838 µs");
        script.Write("control", 3, 1, 0x30);
        script.Write("counter 0", 0, 1, 0xe8);
        script.Write("counter 0", 0, 1, 0x03);
        script.Event("500 ticks later", () => clock.Advance(419_050));
        script.Write("latch 0", 3, 1, 0x00);
        script.Event("100 ticks later", () => clock.Advance(83_810));
        script.Read("counter 0", 0, 1);
        script.Read("counter 0", 0, 1);
        script.Write("status 0", 3, 1, 0xe2);
        script.Read("status", 0, 1);
        script.Event("400 ticks later", () => clock.Advance(336_000));
        script.Write("read back 0", 3, 1, 0xc2);
        script.Read("status", 0, 1);
        script.Read("count low", 0, 1);
        script.Read("count high", 0, 1);
        script.Note("mode 2, rate generator, low byte only");
        script.Write("control", 3, 1, 0x14);
        script.Write("counter 0", 0, 1, 250);
        script.Event("60 ticks later", () => clock.Advance(50_300));
        script.Read("counter 0", 0, 1);
        script.Event("a period later", () => clock.Advance(209_524));
        script.Read("counter 0", 0, 1);
        script.Note("mode 3, square wave, BCD");
        script.Write("control", 3, 1, 0x37);
        script.Write("counter 0", 0, 1, 0x00);
        script.Write("counter 0", 0, 1, 0x10);
        script.Event("250 ticks later", () => clock.Advance(209_530));
        script.Read("low", 0, 1);
        script.Read("high", 0, 1);
        script.Event("500 ticks later", () => clock.Advance(419_050));
        script.Event("reset", pit.Reset);
        Snapshot.Verify(script.Transcript);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Counter0_At100Hz_InterruptsAHundredTimesASecond(int mode)
    {
        var lines = new TestLines();
        var clock = new TestClock();
        using var pit = new I8254(clock, lines[0]);
        pit.Write(3, 1, (ulong)(0x30 | mode << 1));
        pit.Write(0, 1, 11932 & 0xff);
        pit.Write(0, 1, 11932 >> 8);
        int before = lines.Rises;
        clock.Advance(1_000_000_000);
        Assert.InRange(lines.Rises - before, 99, 100);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Counter0_ShortestCount_InterruptsAtMostTenThousandTimesASecond(int mode)
    {
        var lines = new TestLines();
        var clock = new TestClock();
        using var pit = new I8254(clock, lines[0]);
        pit.Write(3, 1, (ulong)(0x10 | mode << 1));
        pit.Write(0, 1, 2);
        clock.Advance(1_000_000_000);
        Assert.InRange(lines.Rises, 1, 10_001);
    }

    [Fact]
    public void Speaker_Counter2_IsGatedAndSeenThroughPort61()
    {
        var clock = new TestClock();
        using var pit = new I8254(clock, default);
        pit.Speaker.Write(0, 1, 1);
        pit.Write(3, 1, 0xb0);
        pit.Write(2, 1, 0x00);
        pit.Write(2, 1, 0x10);
        Assert.Equal(0ul, pit.Speaker.Read(0, 1) & 0x20);
        clock.Advance(2_000_000);
        pit.Speaker.Write(0, 1, 0);
        clock.Advance(10_000_000);
        Assert.Equal(0ul, pit.Speaker.Read(0, 1) & 0x21);
        pit.Speaker.Write(0, 1, 1);
        clock.Advance(1_400_000);
        Assert.Equal(0ul, pit.Speaker.Read(0, 1) & 0x20);
        clock.Advance(100_000);
        Assert.Equal(0x21ul, pit.Speaker.Read(0, 1) & 0x21);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public void TriggeredModes_GateRises_CountOnce(int mode)
    {
        var clock = new TestClock();
        using var pit = new I8254(clock, default);
        pit.Write(3, 1, (ulong)(0xb0 | mode << 1));
        pit.Write(2, 1, 0xff);
        pit.Write(2, 1, 0);
        Assert.Equal(0x20ul, pit.Speaker.Read(0, 1) & 0x20);
        pit.Speaker.Write(0, 1, 1);
        clock.Advance(100_000);
        Assert.Equal(mode == 1 ? 0ul : 0x20, pit.Speaker.Read(0, 1) & 0x20);
        clock.Advance(200_000);
        Assert.Equal(0x20ul, pit.Speaker.Read(0, 1) & 0x20);
    }
}
