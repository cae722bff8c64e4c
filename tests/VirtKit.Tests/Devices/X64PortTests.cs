using VirtKit.Devices.Pc;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>The ports of one register each through which a PC is reset, put to sleep and ended.</summary>
public sealed class X64PortTests
{
    private readonly List<string> _events = [];

    [Fact]
    public void ResetPort_ScriptOfAccesses_AnswersAsDocumented() => Verify(new ResetPort(() => _events.Add("reset")), script =>
    {
        Write(script, "RST_CNT", 0, 0x02);
        script.Read("RST_CNT", 0, 1);
        script.Note("bit 2 resets when it rises");
        Write(script, "RST_CNT", 0, 0x06);
        script.Read("RST_CNT", 0, 1);
        Write(script, "RST_CNT", 0, 0x06);
        Write(script, "RST_CNT", 0, 0x00);
        Write(script, "RST_CNT", 0, 0xff);
        script.Read("RST_CNT", 0, 1);
    });

    [Fact]
    public void KeyboardReset_ScriptOfAccesses_AnswersAsDocumented() => Verify(new KeyboardReset(() => _events.Add("reset")), script =>
    {
        script.Read("STATUS", 0, 1);
        foreach (byte command in new byte[] { 0x00, 0x20, 0xaa, 0xd1, 0xf0, 0xf1, 0xfe, 0xff })
            Write(script, "COMMAND", 0, command);
    });

    [Fact]
    public void DebugExitPort_ScriptOfAccesses_AnswersAsDocumented() => Verify(new DebugExitPort(code => _events.Add($"exit {code}")), script =>
    {
        script.Read("EXIT", 0, 4);
        Write(script, "EXIT", 0, 0x2a);
        Write(script, "EXIT", 0, 0xffff_fffe, 4);
        Write(script, "EXIT", 0, 0x1234, 2);
        Write(script, "nothing", 1, 3);
        Write(script, "too wide", 0, 0, 8);
    });

    [Fact]
    public void AcpiSleep_ScriptOfAccesses_AnswersAsDocumented() => Verify(new AcpiSleep(code => _events.Add($"power-off {code}")), script =>
    {
        script.Read("SLEEP_CONTROL", 0, 1);
        script.Read("SLEEP_STATUS", 1, 1);
        script.Note("the type alone, another type, power-off");
        Write(script, "SLEEP_CONTROL", 0, 5 << 2);
        script.Read("SLEEP_CONTROL", 0, 1);
        Write(script, "SLEEP_CONTROL", 0, 0x20 | 3 << 2);
        Write(script, "SLEEP_CONTROL", 0, 0x20 | 5 << 2);
        Write(script, "SLEEP_STATUS", 1, 0x80);
        script.Read("SLEEP_STATUS", 1, 1);
    });

    private static void Verify(IDevice device, Action<DeviceHarness> run, [System.Runtime.CompilerServices.CallerMemberName] string test = "")
    {
        using var script = new DeviceHarness(device, new TestLines());
        run(script);
        script.Event("device reset", device.Reset);
        script.Read("at reset", 0, 1);
        Snapshot.Verify(script.Transcript, member: test);
    }

    /// <summary>Writes, and notes what that made happen.</summary>
    private void Write(DeviceHarness script, string name, ulong offset, ulong value, int size = 1)
    {
        script.Write(name, offset, size, value);
        foreach (string e in _events)
            script.Note(e);
        _events.Clear();
    }
}
