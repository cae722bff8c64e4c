using VirtKit.Devices.Pc;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class X64CmosTests
{
    private const ulong Second = 1_000_000_000;

    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheDatasheetSays()
    {
        var lines = new TestLines();
        var clock = new TestClock();
        using var rtc = new CmosRtc(clock, lines[8]);
        using var script = new DeviceHarness(rtc, lines);
        script.Note("2023-11-14 22:13:20 UTC, a Tuesday, in BCD");
        foreach ((string name, byte index) in new (string, byte)[] { ("seconds", 0), ("minutes", 2), ("hours", 4), ("weekday", 6), ("day", 7), ("month", 8), ("year", 9), ("century", 0x32), ("A", 10), ("B", 11), ("C", 12), ("D", 13) })
            Read(script, name, index);
        script.Note("binary, 12 hours");
        Write(script, "B", 11, 0x04);
        Read(script, "hours", 4);
        Read(script, "seconds", 0);
        script.Note("SET holds the registers; the time is what they then say");
        Write(script, "B", 11, 0x86);
        Write(script, "hours", 4, 23);
        Write(script, "minutes", 2, 59);
        Write(script, "seconds", 0, 58);
        script.Event("5 s later", () => clock.Advance(5 * Second));
        Read(script, "seconds", 0);
        Write(script, "alarm seconds", 1, 1);
        Write(script, "alarm minutes", 3, 0xff);
        Write(script, "alarm hours", 5, 0xff);
        Write(script, "B", 11, 0x26);
        script.Event("2 s later", () => clock.Advance(2 * Second));
        Read(script, "hours", 4);
        Read(script, "day", 7);
        script.Event("1 s later, the alarm", () => clock.Advance(Second));
        Read(script, "C", 12);
        Read(script, "C", 12);
        script.Note("periodic, 1024 Hz");
        Write(script, "B", 11, 0x46);
        script.Event("1 ms later", () => clock.Advance(1_000_000));
        Read(script, "C", 12);
        script.Note("update ended");
        Write(script, "B", 11, 0x12);
        script.Event("1 s later", () => clock.Advance(Second));
        Read(script, "C", 12);
        script.Note("memory");
        Write(script, "0x40", 0x40, 0x5a);
        Read(script, "0x40", 0x40);
        script.Event("reset", rtc.Reset);
        Read(script, "B", 11);
        Snapshot.Verify(script.Transcript);
    }

    [Fact]
    public void Time_ImpossibleFields_AreTakenAsTheNearest()
    {
        using var rtc = new CmosRtc(new TestClock(), default);
        foreach (byte index in new byte[] { 0, 2, 4, 6, 7, 8, 9, 0x32 })
        {
            rtc.Write(0, 1, index);
            rtc.Write(1, 1, 0xff);
        }

        rtc.Write(0, 1, 8);
        Assert.Equal(0x12ul, rtc.Read(1, 1));
    }

    private static void Read(DeviceHarness script, string name, byte index)
    {
        script.Write("index", 0, 1, index);
        script.Read(name, 1, 1);
    }

    private static void Write(DeviceHarness script, string name, byte index, byte value)
    {
        script.Write("index", 0, 1, index);
        script.Write(name, 1, 1, value);
    }
}
