using VirtKit.Devices;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class GoldfishRtcTests
{
    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheDatasheetSays()
    {
        var lines = new TestLines();
        var clock = new TestClock();
        using var rtc = new GoldfishRtc(clock, lines[11]);
        using var script = new DeviceHarness(rtc, lines);
        script.Note("the low half latches the high one");
        ulong low = script.Read("TIME_LOW", 0x00, 4);
        ulong high = script.Read("TIME_HIGH", 0x04, 4);
        Assert.Equal(TestClock.CalendarStart, high << 32 | low);
        script.Note("an alarm one second ahead");
        ulong alarm = TestClock.CalendarStart + 1_000_000_000;
        script.Write("ALARM_HIGH", 0x0c, 4, alarm >> 32);
        script.Write("ALARM_LOW", 0x08, 4, alarm & 0xffff_ffff);
        script.Write("IRQ_ENABLED", 0x10, 4, 1);
        script.Read("ALARM_STATUS", 0x18, 4);
        script.Event("0.999999999 s later", () => clock.Advance(999_999_999));
        script.Event("1 ns later", () => clock.Advance(1));
        script.Read("ALARM_STATUS", 0x18, 4);
        script.Write("CLEAR_IRQ", 0x1c, 4, 1);
        script.Note("an alarm in the past rings at once");
        script.Write("ALARM_LOW", 0x08, 4, 0);
        script.Write("CLEAR_IRQ", 0x1c, 4, 1);
        script.Note("the time is settable, and an armed alarm follows it");
        script.Write("ALARM_HIGH", 0x0c, 4, 0x2000_0000);
        script.Write("ALARM_LOW", 0x08, 4, 5);
        script.Write("TIME_HIGH", 0x04, 4, 0x2000_0000);
        script.Write("TIME_LOW", 0x00, 4, 0);
        script.Read("TIME_LOW", 0x00, 4);
        script.Read("TIME_HIGH", 0x04, 4);
        script.Write("CLEAR_IRQ", 0x1c, 4, 1);
        script.Note("an alarm that is taken back does not ring");
        script.Write("ALARM_LOW", 0x08, 4, 1000);
        script.Write("CLEAR_ALARM", 0x14, 4, 1);
        script.Event("1 s later", () => clock.Advance(1_000_000_000));
        script.Event("reset", rtc.Reset);
        script.Read("IRQ_ENABLED", 0x10, 4);
        Snapshot.Verify(script.Transcript);
    }
}
