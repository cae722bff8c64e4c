using VirtKit.Devices;
using VirtKit.RiscV;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class AclintTests
{
    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheDatasheetSays()
    {
        var lines = new TestLines();
        var clock = new TestClock();
        using var aclint = new Aclint(clock, new RiscVTimebase(clock, 10_000_000), [lines[30], lines[31]], [lines[70], lines[71]]);
        using var script = new DeviceHarness(aclint, lines);
        script.Note("at power-on; lines 30, 31 are MSIP and 70, 71 MTIP of harts 0 and 1");
        script.Read("MSIP0", 0, 4);
        script.Read("MTIMECMP0", 0x4000, 8);
        script.Read("MTIME", 0xbff8, 8);
        script.Note("software interrupts hold one bit");
        script.Write("MSIP1", 4, 4, 0xffff_ffff);
        script.Read("MSIP1", 4, 4);
        script.Write("MSIP0,1", 0, 8, 0x0000_0000_0000_0001);
        script.Read("MSIP0,1", 0, 8);
        script.Write("MSIP0", 0, 4, 0);
        script.Write("MSIP2, none", 8, 4, 1);
        script.Read("MSIP2, none", 8, 4);
        script.Note("the timer, whole and in halves");
        script.Write("MTIMECMP0", 0x4000, 8, 100);
        script.Event("9999 ns later", () => clock.Advance(9_999));
        script.Event("1 ns later", () => clock.Advance(1));
        script.Read("MTIME", 0xbff8, 8);
        script.Write("MTIMECMP1.hi", 0x400c, 4, 0);
        script.Write("MTIMECMP1.lo", 0x4008, 4, 50);
        script.Write("MTIMECMP0.lo", 0x4000, 4, 0xffff_ffff);
        script.Read("MTIMECMP0", 0x4000, 8);
        script.Note("MTIME is writable");
        script.Write("MTIME", 0xbff8, 8, 0x1_0000_0000);
        script.Read("MTIME.lo", 0xbff8, 4);
        script.Read("MTIME.hi", 0xbffc, 4);
        script.Write("MTIME", 0xbff8, 8, 0);
        script.Read("MTIME", 0xbff8, 8);
        script.Event("reset", aclint.Reset);
        script.Read("MTIME", 0xbff8, 8);
        Snapshot.Verify(script.Transcript);
    }

    [Theory]
    [InlineData(ulong.MaxValue, 0ul)]
    [InlineData(ulong.MaxValue - 1, ulong.MaxValue - 5)]
    [InlineData(1ul << 63, 1ul << 62)]
    public void Timer_FarDeadlines_NeverSpins(ulong compare, ulong time)
    {
        var clock = new TestClock();
        using var aclint = new Aclint(clock, new RiscVTimebase(clock, 10_000_000), [default], [default]);
        aclint.Write(0xbff8, 8, time);
        aclint.Write(0x4000, 8, compare);
        clock.Advance(10_000_000_000);
    }
}
