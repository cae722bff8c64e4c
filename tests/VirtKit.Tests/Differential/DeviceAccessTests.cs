using VirtKit.Devices.Storage;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Differential;

/// <summary>Every width at every window of the virt board, aligned and not: on our engines as reviewed, and as on QEMU but for what is listed.</summary>
public sealed class DeviceAccessTests
{
    /// <summary>Where we differ from QEMU 7.2, and why: the beginning of a line, the line here and there.</summary>
    private static readonly (string Line, string Reason)[] Deviations = [];

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
        Assert.Empty(different.Where(line => !Deviations.Any(d => line.StartsWith(d.Line, StringComparison.Ordinal))));
        Assert.All(Deviations, d => Assert.Contains(different, line => line.StartsWith(d.Line, StringComparison.Ordinal)));
    }

    private static IReadOnlyList<string> OnEngine(string engine) =>
        DeviceAccessProgram.Read(GuestRun.OnEngine(engine, DeviceAccessProgram.Assemble(), new MemoryBlockBackend(1 << 20)));
}
