using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Code that the host writes while the machine stands is what the guest executes next, by whatever way it was written.</summary>
public sealed class KvmHostWritesTests
{
    [Theory, InlineData("Write"), InlineData("TryWrite"), InlineData("TryGetSpan")]
    public void Run_CodeWrittenBetweenRuns_IsExecuted(string way)
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            Iced.Intel.Label again = a.CreateLabel();
            a.Label(ref again);
            a.mov(eax, 1);
            a.hlt();
            a.jmp(again);
        });
        for (int value = 1; value <= 50; value++)
        {
            byte[] code = X64Guest.Assemble(64, a => a.mov(eax, value));
            switch (way)
            {
                case "Write":
                    guest.Machine.Memory.Write(new Gpa(X64Guest.Code), code);
                    break;
                case "TryWrite":
                    Assert.True(guest.Machine.Memory.TryWrite(new Gpa(X64Guest.Code), code));
                    break;
                default:
                    Assert.True(guest.Machine.Memory.TryGetSpan(new Gpa(X64Guest.Code), code.Length, out Span<byte> span));
                    code.CopyTo(span);
                    break;
            }

            guest.Registers = guest.Registers; // behind the HLT
            Assert.Equal(ExitReason.Halted, guest.Run().Reason);
            Assert.Equal((ulong)value, guest.Registers.Rax);
        }
    }

    /// <summary>Page tables that the host changes: the processor may keep what it has seen of them until CR3 is loaded, as on hardware; a state that is set loads it.</summary>
    [Fact]
    public void Run_PageTableWrittenBetweenRuns_CountsFromTheNextState()
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            Iced.Intel.Label again = a.CreateLabel();
            a.Label(ref again);
            a.mov(rax, __qword_ptr[0x40_0000]);
            a.hlt();
            a.jmp(again);
        });
        for (ulong value = 1; value <= 4; value++)
        {
            ulong page = value % 2 == 0 ? 0x0ul : 0x10_0000;
            guest.Machine.Memory.TryWrite(new Gpa(0x10_0000), 0x1111ul * value);
            guest.Machine.Memory.TryWrite(new Gpa(0), 0x2222ul * value);
            // The entry of 0x400000: a table of 4 KiB pages whose first is one of the two.
            guest.Machine.Memory.TryWrite(new Gpa(0x18_0000), page | 3);
            guest.Machine.Memory.TryWrite(new Gpa(X64Guest.Tables + 0x2010), 0x18_0003ul);
            X64State state = guest.Vcpu.GetState<X64State>();
            state.Activity = X64Activity.Running;
            guest.Vcpu.SetState(in state);
            Assert.Equal(ExitReason.Halted, guest.Run().Reason);
            Assert.Equal(page == 0 ? 0x2222 * value : 0x1111 * value, guest.Registers.Rax);
        }
    }
}
