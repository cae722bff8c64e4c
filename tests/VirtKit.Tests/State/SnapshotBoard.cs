using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.State;

/// <summary>A board whose guest never ends, changes its memory all the time, and repeats exactly.</summary>
internal static class SnapshotBoard
{
    /// <summary>Adds what it has added up to words of memory, one after the other, and writes a byte to the serial port now and then.</summary>
    private const string Counter = """
            li s0, 0x80100000
            li s2, 0x10000000
            li s3, 0x7fff8
        again:
            addi s1, s1, 1
            add s4, s4, s1
            and t0, s4, s3
            add t0, t0, s0
            ld t1, 0(t0)
            add t1, t1, s4
            sd t1, 0(t0)
            andi t2, s1, 1023
            bnez t2, again
            sb s1, 0(s2)
            j again
        """;

    public static RiscVVirt Board(string engine, bool loads = true, GenerationIdMode? generationId = null)
    {
        var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create(engine) },
            MemorySize = 16 << 20,
            Console = new MemoryConsole(),
            Seed = 1,
            GenerationId = generationId,
        });
        if (loads)
        {
            board.Machine.Memory.Write(RiscVVirt.KernelAddress, RiscVAssembler.Assemble(Counter, RiscVVirt.KernelAddress.Value, out _));
            board.BootSupervisor(RiscVVirt.KernelAddress);
        }

        return board;
    }

    /// <summary>All of it: state and memory.</summary>
    public static string Describe(RiscVVirt board)
    {
        using MachineSnapshot snapshot = board.Machine.Capture();
        byte[] memory = new byte[16 << 20];
        board.Machine.Memory.Read(new Gpa(0x8000_0000), memory);
        return $"{Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(memory))} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(snapshot.State.Span))}";
    }
}
