using Iced.Intel;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>The two ways by which a guest in ring 0 calls its host.</summary>
public sealed class KvmHypercallTests
{
    private const byte Port = 0xe8;
    private const ulong MapGpaRange = 12, Unknown = unchecked((ulong)-1000L);

    [Fact]
    public void Port_OwnNumbers_AreAnsweredByTheHandlerWhileTheGuestGoesOn()
    {
        var handler = new Adder();
        using var guest = new X64Guest(new X64Architecture { HypercallPort = Port });
        guest.Machine.Hypercalls = handler;
        guest.Load(64, a =>
        {
            a.mov(ebx, 30);
            a.mov(ecx, 12);
            a.mov(eax, Adder.Add);
            a.@out(Port, eax);
            a.mov(r8, rax);
            a.mov(rbx, rax);
            a.mov(eax, Adder.Add);
            a.@out(Port, eax);
            a.mov(r9, rax);
            a.mov(eax, 99);
            a.@out(Port, eax);
            a.mov(r10, rax);
            a.hlt();
        });
        // A number that the handler leaves open is the host application's.
        Assert.Equal(new VcpuExit(ExitReason.Hypercall, 99), guest.Run());
        X64Registers registers = guest.Registers;
        Assert.Equal((42ul, 54ul), (registers.R8, registers.R9));
        registers.Rax = 7;
        guest.Registers = registers;
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(7ul, guest.Registers.R10);
        Assert.Equal([(0, (ulong)Adder.Add), (0, (ulong)Adder.Add), (0, 99ul)], handler.Calls);
    }

    [Fact]
    public void Port_HandlerThatThrows_IsAnInternalErrorBehindTheInstruction()
    {
        using var guest = new X64Guest(new X64Architecture { HypercallPort = Port });
        guest.Machine.Hypercalls = new Adder();
        guest.Load(64, a =>
        {
            a.mov(eax, Adder.Throw);
            a.@out(Port, eax);
            a.hlt();
        });
        VcpuExit exit = guest.Run();
        Assert.Equal((ExitReason.InternalError, (ulong)Adder.Throw), (exit.Reason, exit.Code));
        Assert.Contains("out of order", exit.Detail, StringComparison.Ordinal);
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
    }

    [Fact]
    public void Port_KickedMeanwhile_AnswersFirstAndComesBackThen()
    {
        var handler = new Adder();
        using var guest = new X64Guest(new X64Architecture { HypercallPort = Port });
        guest.Machine.Hypercalls = handler;
        guest.Load(64, a =>
        {
            a.mov(ebx, 1);
            a.mov(ecx, 2);
            a.mov(eax, Adder.Add);
            a.@out(Port, eax);
            a.mov(r8, rax);
            a.hlt();
        });
        handler.Calling = guest.Vcpu.Kick;
        Assert.Equal(ExitReason.Kicked, guest.Run().Reason);
        Assert.Equal(3ul, guest.Registers.Rax);
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(3ul, guest.Registers.R8);
    }

    [Fact]
    public void Vmcall_TheForwardedNumber_ReachesTheHandlerAndOthersStayTheKernels()
    {
        var handler = new Adder();
        using var guest = new X64Guest(new X64Architecture());
        guest.Machine.Hypercalls = handler;
        guest.Load(64, a =>
        {
            a.mov(eax, 0x1234);
            a.vmcall();
            a.mov(r8, rax);
            a.mov(eax, (int)MapGpaRange);
            a.mov(ebx, 0x4000);
            a.mov(ecx, 3);
            a.xor(edx, edx);
            a.vmcall();
            a.mov(r9, rax);
            a.hlt();
        });
        const ulong call = X64Guest.Code + 5, slice = 50_000_000;
        int standing = 0;
        VcpuExit exit;
        do
            exit = guest.Vcpu.Run(slice);
        while (exit.Reason == ExitReason.BudgetExhausted && (guest.Registers.Rip != call || ++standing < 10));
        if (exit.Reason == ExitReason.BudgetExhausted)
        {
            // A kernel that emulates ring 0 hands VMCALL to the processor to run it again, which never happens there: the guest stands at it until it is stopped.
            Assert.Equal(0x1234ul, guest.Registers.Rax);
            Assert.Empty(handler.Calls);
            return;
        }

        Assert.Equal(ExitReason.Halted, exit.Reason);
        Assert.Equal((Unknown, 0x4003ul), (guest.Registers.R8, guest.Registers.R9));
        Assert.Equal([(0, MapGpaRange)], handler.Calls);
    }

    private sealed class Adder : IHypercallHandler
    {
        public const int Add = 0x1000_0001, Throw = 0x1000_0002;

        public List<(int, ulong)> Calls { get; } = [];

        public Action? Calling { get; set; }

        public bool TryAnswer(int vcpu, Hypercall call, out ulong result)
        {
            Calls.Add((vcpu, call.Number));
            Calling?.Invoke();
            result = call.Arguments[0] + call.Arguments[1];
            switch (call.Number)
            {
                case Add or MapGpaRange:
                    return true;
                case Throw:
                    throw new InvalidOperationException("out of order");
                default:
                    return false;
            }
        }
    }
}
