using Iced.Intel;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Guests that do their worst from ring 0: each ends in a typed exit within its time, and the machine can be used again.</summary>
public sealed class KvmHostileTests
{
    [Fact]
    public void Run_PortFlood_IsStoppedAndEveryAccessCounted()
    {
        using var guest = new X64Guest();
        var device = new Recorder();
        guest.Machine.Ports!.Map(new Gpa(0x80), device);
        guest.Load(64, a =>
        {
            Label again = a.CreateLabel();
            a.mov(dx, 0x80);
            a.Label(ref again);
            a.@in(al, dx);
            a.jmp(again);
        });
        device.AtHundred = guest.Vcpu.Kick;
        Assert.Equal(ExitReason.Kicked, guest.Run().Reason);
        Assert.Equal(100, device.Reads);
        Assert.Equal((ulong)device.Reads, guest.Vcpu.Counters.MmioAccesses);
    }

    [Fact]
    public void Run_SelfModifyingCode_ExecutesWhatWasWritten()
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            a.mov(rbx, 0x50000);
            a.mov(__dword_ptr[rbx], unchecked((int)0xc3c0_ff48)); // inc rax; ret
            a.xor(eax, eax);
            a.call(rbx);
            a.mov(__byte_ptr[rbx + 2], 0xc8); // dec rax
            a.call(rbx);
            a.call(rbx);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(ulong.MaxValue, guest.Registers.Rax);
    }

    [Fact]
    public void Run_StringPortAccessWithoutEnd_IsStoppedInTheMiddle()
    {
        using var guest = new X64Guest();
        var device = new Recorder();
        guest.Machine.Ports!.Map(new Gpa(0x80), device);
        guest.Load(64, a =>
        {
            a.mov(dx, 0x80);
            a.mov(rdi, 0x30000);
            a.mov(rcx, long.MaxValue);
            a.std(); // down to 0 and round to the top, where nothing is mapped
            a.rep.insd();
        });
        device.AtHundred = guest.Vcpu.Kick;
        Assert.True(guest.Run().Reason is ExitReason.Kicked or ExitReason.Fault or ExitReason.Unsupported);
        Assert.NotEqual(0, device.Reads);
        IsUsable(guest);
    }

    [Fact]
    public void Run_CopyFromDeviceToNowhere_IsStopped()
    {
        using var guest = new X64Guest();
        var device = new Recorder(0x1000);
        guest.Machine.Memory.Map(new Gpa(0x1000_0000), device);
        guest.Load(64, a =>
        {
            a.mov(rsi, 0x1000_0000);
            a.mov(rdi, 0x9000_0000);
            a.mov(rcx, long.MaxValue);
            a.rep.movsq();
        });
        device.AtHundred = guest.Vcpu.Kick;
        Assert.True(guest.Run().Reason is ExitReason.Kicked or ExitReason.Fault or ExitReason.Unsupported);
        Assert.NotEqual(0, device.Reads);
        IsUsable(guest);
    }

    [Theory, InlineData(0x9000_0000), InlineData(0x1000_0000), InlineData(0xf_ffff_ffff_f000)]
    public void Run_PageTablesThatAreNotMemory_IsAFault(ulong tables)
    {
        using var guest = new X64Guest();
        guest.Machine.Memory.Map(new Gpa(0x1000_0000), new Recorder(0x1000));
        guest.Load(64, a =>
        {
            a.mov(rax, tables);
            a.mov(cr3, rax);
            a.hlt();
        });
        Assert.True(Run(guest).Reason is ExitReason.Fault or ExitReason.Unsupported or ExitReason.Kicked);
        IsUsable(guest);
    }

    [Theory, InlineData(16), InlineData(32), InlineData(64)]
    public void Run_RandomBytes_EndInTypedExits(int bits)
    {
        using var guest = new X64Guest();
        guest.Machine.Memory.Map(new Gpa(0x1000_0000), new Recorder(0x1000));
        guest.Machine.Ports!.Map(new Gpa(0), new Recorder(0x1_0000));
        Random random = Seed.Random();
        guest.Load(bits, a => a.nop());
        X64State start = guest.Vcpu.GetState<X64State>();
        byte[] code = new byte[64];
        for (int round = 0; round < 100; round++)
        {
            random.NextBytes(code);
            guest.Machine.Memory.Write(new Gpa(X64Guest.Code), code);
            X64State state = start;
            state.Registers = start.Registers with
            {
                Rax = (ulong)random.NextInt64(),
                Rbx = 0x1000_0000,
                Rcx = (ulong)random.Next(),
                Rdx = (ulong)random.Next(0x1_0000),
                Rsi = X64Guest.Tables,
                Rdi = 0x30000,
                Rbp = 0x9000_0000,
            };
            guest.Vcpu.SetState(in state);
            VcpuExit exit = guest.Vcpu.Run(3_000_000, TestContext.Current.CancellationToken);
            Assert.True(exit.Reason is not (ExitReason.InternalError or ExitReason.Shutdown), $"round {round}, {Convert.ToHexString(code)}: {exit}");
            guest.Vcpu.GetState<X64State>();
        }

        IsUsable(guest);
    }

    private static VcpuExit Run(X64Guest guest)
    {
        using var limit = new CancellationTokenSource(200);
        return guest.Vcpu.Run(cancellationToken: limit.Token);
    }

    private static void IsUsable(X64Guest guest)
    {
        guest.Vcpu.Reset();
        guest.Load(64, a =>
        {
            a.mov(eax, 1234);
            a.hlt();
        });
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(1234ul, guest.Registers.Rax);
    }
}
