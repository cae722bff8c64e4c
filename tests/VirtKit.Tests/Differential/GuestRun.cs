using VirtKit.Devices.Boards;
using VirtKit.Devices.Storage;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Differential;

/// <summary>Runs a bare-metal image from the start of DRAM in M-mode until it writes the test finisher, and returns all of DRAM: on QEMU, whose RAM is a file that is
/// left behind, and on our engines.</summary>
internal static class GuestRun
{
    public const int MemorySize = 32 << 20;
    public const ulong Dram = 0x8000_0000;

    /// <summary>What QEMU 7.2 has of <see cref="RiscVArchitecture.FullIsa"/>, and nothing besides: it lacks Zicond, Zicbom and Zicboz.</summary>
    public const string Isa = "rv64imafdc_zicntr_zicsr_zifencei_zihintpause_zba_zbb_zbs_sstc_svinval_svnapot";

    private const string Cpu = "rv64,h=false,v=false,zba=true,zbb=true,zbc=false,zbs=true,sstc=true,svinval=true,svnapot=true";

    /// <param name="image">The image.</param>
    /// <param name="devices">Further arguments, for devices that the board does not have by itself.</param>
    public static async Task<byte[]> OnQemu(byte[] image, params string[] devices)
    {
        string qemu = Require.Program("qemu-system-riscv64", "qemu-system-misc");
        using var folder = new TemporaryFolder();
        string ram = folder.File("ram");
        await using (FileStream file = File.Create(ram))
        {
            await file.WriteAsync(image);
            file.SetLength(MemorySize);
        }

        await HostProcess.RunAsync(
            qemu,
            [
                "-M", "virt,memory-backend=ram", "-m", "32M", "-object", $"memory-backend-file,id=ram,size=32M,mem-path={ram},share=on", "-bios", "none", "-cpu", Cpu,
                "-display", "none", "-serial", "none", "-monitor", "none", .. devices,
            ],
            folder.Path,
            Hang.Limit);
        return await File.ReadAllBytesAsync(ram);
    }

    public static byte[] OnEngine(string engine, byte[] image, params IBlockBackend[] disks)
    {
        using var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture { Isa = Isa }, Engine = RiscVEngines.Create(engine) }, MemorySize = MemorySize, Disks = disks,
        });
        Machine machine = board.Machine;
        board.BootFirmware(new Gpa(Dram));
        machine.Memory.Write(new Gpa(Dram), image);
        using var limit = new CancellationTokenSource(Hang.Limit);
        VcpuExit exit = machine.Run(limit.Token);
        RiscVState state = machine.Vcpus[0].GetState<RiscVState>();
        Assert.True(exit is { Reason: ExitReason.Shutdown, Code: 0 }, $"{engine}: {exit}, pc {state.Pc:x}, mcause {state.Mcause:x}, mepc {state.Mepc:x}, mtval {state.Mtval:x}");
        var memory = new byte[MemorySize];
        machine.Memory.Read(new Gpa(Dram), memory);
        return memory;
    }
}
