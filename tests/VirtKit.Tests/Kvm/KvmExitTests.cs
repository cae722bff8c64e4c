using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Each exit reason, from small guests in the processor's three modes.</summary>
public sealed class KvmExitTests
{
    [Theory, InlineData(16), InlineData(32), InlineData(64)]
    public void Run_GuestHalts_ComesBackHalted(int bits)
    {
        using var guest = new X64Guest();
        guest.Load(bits, a =>
        {
            a.mov(ax, 1234);
            a.add(ax, 4321);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(5555ul, guest.Registers.Rax & 0xffff);
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
    }

    [Theory, InlineData(16), InlineData(32), InlineData(64)]
    public void Run_PortAccess_ReachesTheDevice(int bits)
    {
        using var guest = new X64Guest();
        var device = new Recorder();
        guest.Machine.Ports!.Map(new Gpa(0x3f8), device);
        guest.Load(bits, a =>
        {
            a.mov(dx, 0x3f8);
            a.mov(al, 0x41);
            a.@out(dx, al);
            a.mov(dx, 0x3fa);
            a.mov(ax, 0x4243);
            a.@out(dx, ax);
            a.@in(ax, dx);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal([(0ul, 1, 0x41ul), (2ul, 2, 0x4243ul)], device.Writes);
        Assert.Equal(0x7788ul, guest.Registers.Rax & 0xffff);
        Assert.Equal(3ul, guest.Vcpu.Counters.MmioAccesses);
    }

    [Fact]
    public void Run_StringPortAccess_ReachesTheDeviceElementByElement()
    {
        using var guest = new X64Guest();
        var device = new Recorder();
        guest.Machine.Ports!.Map(new Gpa(0x3f8), device);
        guest.Machine.Memory.Write(new Gpa(0x30000), "Hello, port"u8);
        guest.Load(64, a =>
        {
            a.mov(rsi, 0x30000);
            a.mov(ecx, 11);
            a.mov(dx, 0x3f8);
            a.cld();
            a.rep.outsb();
            a.mov(rdi, 0x31000);
            a.mov(ecx, 3);
            a.rep.insw();
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal("Hello, port", string.Concat(device.Writes.Select(w => (char)w.Value)));
        byte[] read = new byte[6];
        guest.Machine.Memory.Read(new Gpa(0x31000), read);
        Assert.Equal([0x88, 0x77, 0x89, 0x77, 0x8a, 0x77], read);
    }

    [Fact]
    public void Run_MemoryMappedAccess_ReachesTheDeviceInEveryWidth()
    {
        using var guest = new X64Guest();
        var device = new Recorder(0x100);
        guest.Machine.Memory.Map(new Gpa(0x1000_0000), device);
        guest.Load(64, a =>
        {
            a.mov(rbx, 0x1000_0000);
            a.mov(rax, 0x1122334455667788);
            a.mov(__byte_ptr[rbx], al);
            a.mov(__word_ptr[rbx + 2], ax);
            a.mov(__dword_ptr[rbx + 4], eax);
            a.mov(__qword_ptr[rbx + 8], rax);
            a.mov(rcx, __qword_ptr[rbx + 16]);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal([(0ul, 1, 0x88ul), (2ul, 2, 0x7788ul), (4ul, 4, 0x55667788ul), (8ul, 8, 0x1122334455667788ul)], device.Writes);
        Assert.Equal(0x1122_3344_5566_7788ul, guest.Registers.Rcx);
    }

    [Fact]
    public void Run_AccessToNowhere_ReadsOnesAndGoesOn()
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            a.mov(rbx, 0x9000_0000);
            a.mov(__qword_ptr[rbx], rax);
            a.mov(rcx, __qword_ptr[rbx]);
            a.mov(dx, 0x1234);
            a.@out(dx, eax);
            a.@in(eax, dx);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(ulong.MaxValue, guest.Registers.Rcx);
        Assert.Equal(0xffff_fffful, guest.Registers.Rax);
    }

    [Fact]
    public void Run_StoreToRom_IsDropped()
    {
        using var guest = new X64Guest();
        guest.Machine.Memory.MapRom(new Gpa(0x40_0000), 0x1000);
        guest.Machine.Memory.Write(new Gpa(0x40_0000), [1, 2, 3, 4]);
        guest.Load(64, a =>
        {
            a.mov(rbx, 0x40_0000);
            a.mov(__dword_ptr[rbx], eax);
            a.mov(ecx, __dword_ptr[rbx]);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(0x0403_0201ul, guest.Registers.Rcx);
    }

    [Fact]
    public void Run_TripleFault_ComesBackAsFault()
    {
        using var guest = new X64Guest();
        guest.Load(64, a => a.ud2());
        X64State state = guest.Vcpu.GetState<X64State>();
        state.Idtr = default;
        guest.Vcpu.SetState(in state);
        Assert.Equal(ExitReason.Fault, guest.Run().Reason);
    }

    [Fact]
    public void Run_Hypercall_ComesBackAfterTheInstructionAndGoesOn()
    {
        using var guest = new X64Guest(new X64Architecture { HypercallPort = 0xe8 });
        guest.Load(64, a =>
        {
            a.mov(ebx, 7);
            a.mov(eax, 42);
            a.@out(0xe8, eax);
            a.add(rax, rbx);
            a.hlt();
        });
        Assert.Equal(new VcpuExit(ExitReason.Hypercall, 42), guest.Run());
        X64Registers registers = guest.Registers;
        Assert.Equal(7ul, registers.Rbx);
        registers.Rax = 1000;
        guest.Registers = registers;
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(1007ul, guest.Registers.Rax);
    }

    [Fact]
    public void Run_InstructionThatKvmCannotEmulate_ComesBackInFrontOfIt()
    {
        using var guest = new X64Guest();
        // An SSE instruction whose operand is a device: KVM's emulator does not know PADDB.
        guest.Machine.Memory.Map(new Gpa(0x1000_0000), new Recorder(0x100));
        guest.Load(64, a =>
        {
            a.mov(rbx, 0x1000_0000);
            a.paddb(xmm0, __xmmword_ptr[rbx]);
            a.hlt();
        });
        VcpuExit exit = guest.Run();
        Assert.Equal(ExitReason.Unsupported, exit.Reason);
        Assert.Contains("660ffc03", exit.Detail, StringComparison.Ordinal);
        X64Registers registers = guest.Registers;
        byte[] instruction = new byte[4];
        guest.Machine.Memory.Read(new Gpa(registers.Rip), instruction);
        Assert.Equal([0x66, 0x0f, 0xfc, 0x03], instruction);
        registers.Rip += 4; // as an interpreter would, having carried it out
        guest.Registers = registers;
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
    }
}
