using System.Globalization;
using System.Text.RegularExpressions;
using VirtKit.Devices.Storage;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Differential;

/// <summary>Every width at every window of the virt board, aligned and not: on our engines as reviewed, and as on QEMU but for what is listed.</summary>
public sealed class DeviceAccessTests
{
    private const string Misaligned = "misaligned: I/O need not support it (RV-Priv §3.6.2), and QEMU makes two accesses of it that reach the neighbours with their side effects";

    /// <summary>Where we differ from QEMU 7.2, and why; the first that fits names it.</summary>
    private static readonly (string Pattern, string Reason)[] Reasons =
    [
        (@"^virtio\.(magic|device)\+[0-7] +ld .*\| QEMU [0-9a-f]*(5|4d|45)", "the vendor is us"),
        (@"uart(\.\w+ then )?.*\+4 ", "MCR is 0 at reset (PC16550D table 1); QEMU sets OUT2"),
        (@"^clint\.msip", "a CLINT of a 64-bit bus takes two MSIP registers at once"),
        (@"clint\.mtimecmp( then )?.*ffff", "all ones at reset, which ACLINT leaves open: no interrupt is pending before software has set it"),
        (@"^(clint\.hole|rtc\.end)", "the window is as long as the device tree says"),
        (@"virtio\.selector then", "each offers its own features"),
        (@"^virtio\.capacity", "QEMU's disk has a geometry behind seg_max"),
    ];

    public static TheoryData<string> Engines => RiscVEngines.Names;

    [Theory]
    [MemberData(nameof(Engines))]
    public void RiscVVirt_EveryWidthAtEveryWindow_AnswersAsReviewed(string engine) => Snapshot.Verify(string.Join('\n', OnEngine(engine)));

    [Fact]
    public async Task RiscVVirt_EveryWidthAtEveryWindow_AnswersAsQemu()
    {
        IReadOnlyList<string> ours = OnEngine("interpreter");
        IReadOnlyList<string> theirs = DeviceAccessProgram.Read(await GuestRun.OnQemu(DeviceAccessProgram.Assemble(),
            "-global", "virtio-mmio.force-legacy=false", "-drive", "if=none,id=disk,driver=null-co,size=1048576",
            "-device", "virtio-blk-device,drive=disk,bus=virtio-mmio-bus.0"));
        string[] different = [.. ours.Zip(theirs).Where(pair => pair.First != pair.Second).Select(pair => $"{pair.First} | QEMU {pair.Second.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries)[^1]}")];
        Snapshot.Verify(string.Join("\n\n", different.GroupBy(Reason).Select(group => $"# {group.Key}\n{string.Join('\n', group)}")));
    }

    private static string Reason(string difference)
    {
        Match address = Regex.Match(difference, @"\+(\d+) +(lhu|lwu|ld) ");
        return address.Success && int.Parse(address.Groups[1].Value, CultureInfo.InvariantCulture) % Width(address.Groups[2].Value) != 0 ? Misaligned
            : Reasons.FirstOrDefault(r => Regex.IsMatch(difference, r.Pattern)).Reason ?? "TO BE EXPLAINED";
    }

    private static int Width(string load) => load switch { "lhu" => 2, "lwu" => 4, _ => 8 };

    private static IReadOnlyList<string> OnEngine(string engine) =>
        DeviceAccessProgram.Read(GuestRun.OnEngine(engine, DeviceAccessProgram.Assemble(), new MemoryBlockBackend(1 << 20)));
}
