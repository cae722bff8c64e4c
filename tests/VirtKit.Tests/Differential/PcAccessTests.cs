using System.Text.RegularExpressions;
using VirtKit.Accel.Kvm;
using VirtKit.Devices.Boards;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Differential;

/// <summary>Every width at the ports and windows of the PC board: as reviewed, and as on QEMU's microvm but for what is listed with its reason.</summary>
public sealed class PcAccessTests
{
    private const uint OurVirtio = 0xfe00_0000, QemusVirtio = 0xfeb0_0000;

    private static readonly (string Pattern, string Reason)[] Reasons =
    [
        (@"(cmos|pic2?|elcr) ", "QEMU hands a wide access whole to the chip where it begins, which then repeats its registers; on an ISA bus each byte goes to its own port"),
        (@"^load (ioapic|lapic)", "these registers are 32 bits wide and aligned; the manuals leave every other access undefined (SDM 3A §11.4.1, 82093AA §3.0)"),
    ];

    [Fact]
    public void X64MicroVm_EveryWidthAtEveryPort_AnswersAsReviewed() => Snapshot.Verify(string.Join('\n', OnBoard()));

    [Fact]
    public async Task X64MicroVm_EveryWidthAtEveryPort_AnswersAsQemu()
    {
        IReadOnlyList<string> ours = OnBoard(), theirs = await OnQemu();
        string[] different = [.. ours.Zip(theirs).Where(pair => pair.First != pair.Second).Select(pair => $"{pair.First} | QEMU {pair.Second.Split(' ')[^1]}")];
        Snapshot.Verify(string.Join("\n\n", different.GroupBy(Reason).Select(group => $"# {group.Key}\n{string.Join('\n', group)}")));
    }

    private static string Reason(string difference) => Reasons.FirstOrDefault(r => Regex.IsMatch(difference, r.Pattern)).Reason ?? "TO BE EXPLAINED";

    private static IReadOnlyList<string> OnBoard()
    {
        Require.Kvm();
        using var board = new X64MicroVm(new X64MicroVmOptions
        {
            Machine = new MachineOptions
            {
                Architecture = new X64Architecture(),
                Engine = new KvmEngine(new KvmOptions { InterruptController = KvmInterruptController.External }),
                Scheduling = VcpuScheduling.Threads,
            },
            MemorySize = PcAccessProgram.MemorySize,
        });
        board.BootPvh(PcAccessProgram.Assemble(OurVirtio));
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        VcpuExit exit = board.Machine.Run(limit.Token);
        Assert.True(exit is { Reason: ExitReason.Shutdown, Code: 0 }, exit.ToString());
        byte[] memory = new byte[PcAccessProgram.MemorySize];
        board.Machine.Memory.Read(new Gpa(0), memory);
        return PcAccessProgram.Read(memory);
    }

    private static async Task<IReadOnlyList<string>> OnQemu()
    {
        string qemu = Require.Program("qemu-system-x86_64", "qemu-system-x86");
        using var folder = new TemporaryFolder();
        string ram = folder.File("ram"), kernel = folder.File("kernel");
        await File.WriteAllBytesAsync(kernel, PcAccessProgram.Assemble(QemusVirtio));
        await HostProcess.RunAsync(
            qemu,
            [
                "-M", "microvm,memory-backend=ram,pit=on,pic=on,rtc=on,isa-serial=on,auto-kernel-cmdline=off", "-accel", "kvm,kernel-irqchip=off", "-m", "32M",
                "-object", $"memory-backend-file,id=ram,size=32M,mem-path={ram},share=on", "-global", "virtio-mmio.force-legacy=false", "-device", "virtio-rng-device,bus=virtio-mmio-bus.0", "-kernel", kernel,
                "-no-reboot", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "null", "-monitor", "none",
            ],
            folder.Path,
            TimeSpan.FromSeconds(30));
        return PcAccessProgram.Read(await File.ReadAllBytesAsync(ram));
    }
}
