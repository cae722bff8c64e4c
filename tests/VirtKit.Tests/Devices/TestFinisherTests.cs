using VirtKit.Devices;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class TestFinisherTests
{
    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheDatasheetSays()
    {
        var lines = new TestLines();
        var calls = new List<string>();
        var finisher = new TestFinisher(code => calls.Add($"shutdown {code}"), () => calls.Add("reset"));
        using var script = new DeviceHarness(finisher, lines);
        script.Read("FINISH", 0, 4);
        Step(4, 0x0000_5555);
        Step(4, 0x002a_3333);
        Step(4, 0xffff_3333);
        Step(2, 0x3333);
        Step(4, 0x0000_7777);
        Step(4, 0x1234_5678);
        script.Write("past FINISH", 4, 4, 0x5555);
        script.Write("FINISH", 0, 1, 0x55);
        Assert.Equal(5, calls.Count);
        Snapshot.Verify(script.Transcript);

        void Step(int size, ulong value)
        {
            int before = calls.Count;
            script.Write("FINISH", 0, size, value);
            script.Event(calls.Count > before ? calls[^1] : "nothing", () => { });
        }
    }
}
