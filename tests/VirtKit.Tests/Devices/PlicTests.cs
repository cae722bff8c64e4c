using VirtKit.Devices;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

public sealed class PlicTests
{
    private const ulong Enable0 = 0x2000, Enable1 = 0x2080, Threshold0 = 0x20_0000, Claim0 = 0x20_0004, Claim1 = 0x20_1004;

    [Fact]
    public void Registers_ScriptOfAccesses_AnswerAsTheDatasheetSays()
    {
        var lines = new TestLines();
        var plic = new Plic([lines[0], lines[1]]);
        using var script = new DeviceHarness(plic, lines);
        script.Note("source 0 does not exist; priorities have three bits, enables end at source 96; lines are contexts");
        script.Write("PRIORITY0", 0, 4, 7);
        script.Read("PRIORITY0", 0, 4);
        script.Write("PRIORITY10", 40, 4, 0xf);
        script.Read("PRIORITY10", 40, 4);
        script.Write("PRIORITY11", 44, 4, 2);
        script.Write("PRIORITY96", 4 * 96, 4, 2);
        script.Write("ENABLE0.0", Enable0, 4, 0xffff_ffff);
        script.Read("ENABLE0.0", Enable0, 4);
        script.Write("ENABLE0.3", Enable0 + 12, 4, 0xffff_ffff);
        script.Read("ENABLE0.3", Enable0 + 12, 4);
        script.Note("a level becomes pending, the claim takes it, the gateway stays shut until completion");
        script.Event("raise 11", () => plic.Input(11).Set(true));
        script.Event("raise 96", () => plic.Input(96).Set(true));
        script.Event("raise 10", () => plic.Input(10).Set(true));
        script.Read("PENDING.0", 0x1000, 4);
        script.Read("PENDING.3", 0x100c, 4);
        script.Read("CLAIM0", Claim0, 4);
        script.Read("CLAIM0", Claim0, 4);
        script.Read("CLAIM0", Claim0, 4);
        script.Read("CLAIM0", Claim0, 4);
        script.Event("lower 11", () => plic.Input(11).Set(false));
        script.Write("COMPLETE0", Claim0, 4, 11);
        script.Write("COMPLETE0", Claim0, 4, 10);
        script.Read("CLAIM0", Claim0, 4);
        script.Note("a threshold holds the line down but not a claim");
        script.Write("COMPLETE0", Claim0, 4, 10);
        script.Write("THRESHOLD0", Threshold0, 4, 7);
        script.Read("CLAIM0", Claim0, 4);
        script.Write("THRESHOLD0", Threshold0, 4, 0);
        script.Note("a completion by a context for which the source is not enabled does not count");
        script.Write("COMPLETE1", Claim1, 4, 10);
        script.Write("ENABLE1.0", Enable1, 4, 1 << 10);
        script.Write("COMPLETE1", Claim1, 4, 10);
        script.Write("PRIORITY10", 40, 4, 0);
        script.Event("reset", plic.Reset);
        script.Read("PENDING.0", 0x1000, 4);
        Snapshot.Verify(script.Transcript);
    }
}
