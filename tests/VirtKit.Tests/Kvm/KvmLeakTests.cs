using Iced.Intel;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Descriptors and mappings are the process's: what counts them runs alone.</summary>
[CollectionDefinition(nameof(KvmLeakTests), DisableParallelization = true)]
[Collection(nameof(KvmLeakTests))]
public sealed class KvmLeakTests
{
    [Fact]
    public void Machines_AThousandOneAfterTheOther_LeaveNothingBehind()
    {
        RunOne(0);
        RunOne(1);
        (string descriptors, string mappings) = Count();
        for (int i = 0; i < 1000; i++)
            RunOne(i);
        Assert.Equal((descriptors, mappings), Count());
        using (new X64Guest())
            Assert.NotEqual((descriptors, mappings), Count());
    }

    [Fact]
    public void Run_ManyExits_AllocatesNothing()
    {
        using var guest = new X64Guest();
        var device = new Silent();
        guest.Machine.Ports!.Map(new Gpa(0x80), device);
        guest.Machine.Memory.Map(new Gpa(0x1000_0000), device);
        guest.Load(64, a =>
        {
            Label again = a.CreateLabel();
            a.mov(rbx, 0x1000_0000);
            a.mov(dx, 0x80);
            a.Label(ref again);
            a.@out(dx, al);
            a.mov(eax, __dword_ptr[rbx]);
            a.jmp(again);
        });
        device.StopAfter(200, guest.Vcpu);
        guest.RunUnlimited();
        device.StopAfter(2000, guest.Vcpu);
        long before = GC.GetAllocatedBytesForCurrentThread();
        VcpuExit exit = guest.RunUnlimited();
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(ExitReason.Kicked, exit.Reason);
        Assert.Equal(0, allocated);
    }

    /// <summary>A machine that ends in one of the ways a hostile guest chooses.</summary>
    private static void RunOne(int number)
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            switch (number % 4)
            {
                case 0:
                    a.ud2();
                    break;
                case 1:
                    a.hlt();
                    break;
                case 2:
                    a.mov(rbx, 0x1000_0000);
                    a.paddb(xmm0, __xmmword_ptr[rbx]);
                    break;
                default:
                    a.mov(rax, __qword_ptr[0x7000_0000]);
                    a.hlt();
                    break;
            }
        });
        ExitReason expected = (number % 4) switch { 0 => ExitReason.Fault, 2 => ExitReason.Unsupported, _ => ExitReason.Halted };
        Assert.Equal(expected, guest.Run().Reason);
    }

    /// <summary>What a machine has of the kernel, by kind. Files and memory of the runtime come and go as it likes.</summary>
    private static (string Descriptors, string Mappings) Count()
    {
        string[] kinds = ["kvm", "eventfd", "memfd:virtkit"];
        string[] descriptors = [.. Directory.EnumerateFileSystemEntries("/proc/self/fd").Select(path => new FileInfo(path).LinkTarget ?? "")], mappings = File.ReadAllLines("/proc/self/maps");
        return (Tell(descriptors), Tell(mappings));

        string Tell(string[] lines) => string.Join(", ", kinds.Select(kind => $"{kind} {lines.Count(line => line.Contains(kind, StringComparison.Ordinal))}"));
    }

    private sealed class Silent : IDevice
    {
        private int _left;
        private Vcpu? _vcpu;

        public DeviceWindow Window => new("silent", 8);

        public void StopAfter(int accesses, Vcpu vcpu) => (_left, _vcpu) = (accesses, vcpu);

        public ulong Read(ulong offset, int size) => 0;

        public void Write(ulong offset, int size, ulong value)
        {
            if (--_left == 0)
                _vcpu!.Kick();
        }

        public void Reset()
        {
        }
    }
}
