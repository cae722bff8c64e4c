using VirtKit.Boot;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Samples;

/// <summary>Debian's own firmware, unmodified: OpenSBI in machine mode starts U-Boot in supervisor mode.</summary>
public sealed class FirmwareBootTests
{
    private static readonly TimeSpan Limit = Hang.Limit;

    [Fact]
    public async Task UBoot_UnderOpenSbi_AnswersAtItsPromptAndPowersOff()
    {
        byte[] firmware = File.ReadAllBytes(Require.File("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf", "Debian: opensbi"));
        byte[] uBoot = File.ReadAllBytes(Require.File("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin", "Debian: u-boot-qemu"));
        var console = new MemoryConsole();
        using var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture(), Scheduling = VcpuScheduling.Threads },
            Console = console,
        });
        ElfImage image = ElfImage.Parse(firmware, ElfMachine.RiscV);
        image.Load(board.Machine.Memory);
        board.LoadKernel(uBoot);
        board.BootFirmware(image.Entry, RiscVVirt.KernelAddress);
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task<VcpuExit> run = board.Machine.RunAsync(cancellation.Token);
        try
        {
            Expect("OpenSBI v");
            Expect("U-Boot 20");
            Expect("stop autoboot");
            console.Type("\n");
            Expect("=> ");
            console.Type("echo is $board\n");
            Expect("is qemu-riscv");
            console.Type("poweroff\n");
            Assert.Equal(new VcpuExit(ExitReason.Shutdown), await run.WaitAsync(Limit, TestContext.Current.CancellationToken));
        }
        finally
        {
            await cancellation.CancelAsync();
            await run;
        }

        void Expect(string text) => Assert.True(console.WaitFor(text, Limit), $"'{text}' did not come:\n{console.Output}");
    }
}
