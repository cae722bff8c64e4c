using Iced.Intel;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

public sealed class KvmLeakTests
{
    [Fact]
    public void Machines_ManyOneAfterTheOther_LeaveNothingBehind()
    {
        RunOne(0);
        RunOne(1);
        (int descriptors, int mappings) = Count();
        long start = Environment.TickCount64;
        int machines = 0;
        // 1,000 where the host creates them fast, fewer on a nested one.
        for (; machines < 1000 && Environment.TickCount64 - start < 20_000; machines++)
            RunOne(machines);
        (int descriptorsAfter, int mappingsAfter) = Count();
        Assert.True(machines >= 20, $"only {machines} machines in 20 s");
        // Other tests of this process come and go meanwhile; what leaks would leak for each machine.
        Assert.True(descriptorsAfter - descriptors < Math.Max(machines / 10, 5), $"{descriptors} descriptors before, {descriptorsAfter} after {machines} machines");
        Assert.True(mappingsAfter - mappings < Math.Max(machines / 4, 20), $"{mappings} mappings before, {mappingsAfter} after {machines} machines");
        TestContext.Current.SendDiagnosticMessage($"{machines} machines, {descriptors} -> {descriptorsAfter} descriptors, {mappings} -> {mappingsAfter} mappings");
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

    private static (int Descriptors, int Mappings) Count() => (Directory.GetFileSystemEntries("/proc/self/fd").Length, File.ReadLines("/proc/self/maps").Count());

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
