using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>A guest that cannot take an exception: the exit says what KVM knows of the first one.</summary>
public sealed class KvmTripleFaultTests
{
    private const ulong Unmapped = 0x5000_0000_0000;

    public static TheoryData<string, int> Faults => new() { { "invalid opcode", 6 }, { "page fault", 14 }, { "general protection fault", 13 } };

    [Theory, MemberData(nameof(Faults))]
    public void Run_ExceptionWithoutATable_ExitNamesItWhereTheProcessorKeepsIt(string name, int vector)
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            a.mov(rbx, 0x55);
            switch (vector)
            {
                case 6:
                    a.ud2();
                    break;
                case 14:
                    a.mov(rax, unchecked((long)Unmapped));
                    a.mov(rax, __qword_ptr[rax]);
                    break;
                default:
                    a.mov(rax, 1L << 62);
                    a.mov(rax, __qword_ptr[rax]);
                    break;
            }
        });
        X64State state = guest.Vcpu.GetState<X64State>();
        state.Idtr = default;
        guest.Vcpu.SetState(in state);
        VcpuExit exit = guest.Run();
        Assert.Equal(ExitReason.Fault, exit.Reason);
        Assert.StartsWith("Triple fault", exit.Detail, StringComparison.Ordinal);
        state = guest.Vcpu.GetState<X64State>();
        if (exit.FirstTrap is not { } first)
        {
            // Where the processor runs ring 0 itself: AMD's forgets the state, Intel's keeps it and not the exception.
            Assert.True(state.Registers.Rip == 0xfff0 || exit.Detail!.EndsWith("KVM does not tell which exception began it.", StringComparison.Ordinal), exit.Detail);
            return;
        }

        Assert.Equal(((ulong)vector, name, (ulong)vector), (first.Cause, first.Description, exit.Code));
        Assert.Equal(state.Registers.Rip, first.Pc.Value);
        Assert.InRange(first.Pc.Value, X64Guest.Code, X64Guest.Code + 0x40);
        Assert.Equal(vector == 14 ? Unmapped : 0, first.Value);
        Assert.Equal(0x55ul, state.Registers.Rbx);
        Assert.Contains(first.ToString(), exit.Detail, StringComparison.Ordinal);
    }

    /// <summary>An exception before this one, which the guest took: its number may still stand in KVM's state and is not the cause.</summary>
    [Fact]
    public void Run_TripleFaultBehindAnEarlierException_DoesNotNameTheEarlierOne()
    {
        using var guest = new X64Guest();
        const ulong table = 0x30000, handler = X64Guest.Code + 0x800;
        guest.Machine.Memory.Write(new Gpa(table + (6 * 16)), BitConverter.GetBytes((handler & 0xffff) | (8ul << 16) | (0x8eul << 40) | (handler >> 16 << 48)));
        guest.Load(64, a =>
        {
            a.ud2();
            a.mov(rax, unchecked((long)Unmapped));
            a.mov(rax, __qword_ptr[rax]);
        });
        guest.Machine.Memory.Write(new Gpa(handler), X64Guest.Assemble(64, a =>
        {
            a.add(__qword_ptr[rsp], 2);
            a.iretq();
        }, handler));
        X64State state = guest.Vcpu.GetState<X64State>();
        state.Idtr = new X64DescriptorTable { Base = table, Limit = (7 * 16) - 1 };
        guest.Vcpu.SetState(in state);
        VcpuExit exit = guest.Run();
        Assert.Equal(ExitReason.Fault, exit.Reason);
        Assert.True(exit.FirstTrap is null or { Cause: 14 }, exit.Detail);
    }

    /// <summary>The program's own exceptions are exits; one of the supervisor's side says what it was.</summary>
    [Fact]
    public void Machine_TripleFault_ExitCarriesTheSame()
    {
        using var guest = new X64Guest();
        guest.Load(64, a => a.ud2());
        X64State state = guest.Vcpu.GetState<X64State>();
        state.Idtr = default;
        guest.Vcpu.SetState(in state);
        VcpuExit exit = guest.Machine.Run(TestContext.Current.CancellationToken);
        Assert.Equal(ExitReason.Fault, exit.Reason);
        Assert.True(exit.FirstTrap is null or { Cause: 6 }, exit.Detail);
    }
}
