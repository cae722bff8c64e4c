using Iced.Intel;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Stopping a guest: from another thread, by time, from a device.</summary>
public sealed class KvmKickTests
{
    private const ulong Counter = 0x5_0000;

    private static readonly TimeSpan Limit = X64Guest.HangLimit;

    [Fact]
    public async Task Kick_WhileTheGuestLoops_StopsIt()
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(__qword_ptr[Counter]);
            a.jmp(again);
        });
        for (int i = 0; i < 20; i++)
        {
            using var started = new ManualResetEventSlim();
            ulong before = Count();
            Task<VcpuExit> run = Start(guest, started);
            started.Wait(TestContext.Current.CancellationToken);
            // Before it is inside, and when it is for certain.
            if (i % 2 != 0)
                Assert.True(SpinWait.SpinUntil(() => Count() != before, Limit));
            guest.Vcpu.Kick();
            VcpuExit exit = await run.WaitAsync(Limit, TestContext.Current.CancellationToken);
            Assert.Equal(ExitReason.Kicked, exit.Reason);
        }

        ulong Count()
        {
            Assert.True(guest.Machine.Memory.TryRead(new Gpa(Counter), out ulong count));
            return count;
        }
    }

    [Fact]
    public void Kick_BeforeRun_StopsTheNextRunOnce()
    {
        using var guest = new X64Guest();
        guest.Load(64, a => a.hlt());
        guest.Vcpu.Kick();
        guest.Vcpu.Kick();
        Assert.Equal(ExitReason.Kicked, guest.Run().Reason);
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        guest.Vcpu.Kick();
        Assert.Equal(ExitReason.Kicked, guest.Run().Reason);
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
    }

    [Fact]
    public async Task Kick_ManyAtOnce_LeavesNoSignalBehind()
    {
        using var guest = new X64Guest();
        guest.Load(64, Endless);
        using var stop = new CancellationTokenSource();
        Task[] kickers = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                guest.Vcpu.Kick();
                Thread.Yield();
            }
        }, TestContext.Current.CancellationToken))];
        for (int i = 0; i < 500; i++)
            Assert.Equal(ExitReason.Kicked, guest.Run().Reason);
        await stop.CancelAsync();
        await Task.WhenAll(kickers);
    }

    [Fact]
    public void Run_Cancelled_ComesBackKicked()
    {
        using var guest = new X64Guest();
        guest.Load(64, Endless);
        using var source = new CancellationTokenSource(30);
        Assert.Equal(ExitReason.Kicked, guest.Machine.Run(source.Token).Reason);
    }

    [Fact]
    public void Run_WithABudget_EndsAfterItsTime()
    {
        using var guest = new X64Guest();
        guest.Load(64, Endless);
        Assert.Equal(ExitReason.BudgetExhausted, guest.Vcpu.Run(5_000_000, TestContext.Current.CancellationToken).Reason);
        Assert.Equal(ExitReason.BudgetExhausted, guest.Vcpu.Run(0, TestContext.Current.CancellationToken).Reason);
        Assert.Equal(ExitReason.BudgetExhausted, guest.Vcpu.Run(1, TestContext.Current.CancellationToken).Reason);
    }

    [Fact]
    public void Run_DeviceThatStopsTheMachine_StopsBehindTheInstruction()
    {
        using var guest = new X64Guest();
        guest.Machine.Ports!.Map(new Gpa(0x500), new Finisher(guest.Machine));
        guest.Load(64, a =>
        {
            a.mov(dx, 0x500);
            a.mov(al, 9);
            a.@out(dx, al);
            a.mov(ebx, 5);
            a.hlt();
        });
        X64Registers before = guest.Registers;
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 9), guest.Machine.Run(TestContext.Current.CancellationToken));
        Assert.Equal(before.Rip + 7, guest.Registers.Rip);
    }

    private static void Endless(Assembler a)
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        a.inc(rax);
        a.jmp(again);
    }

    private static Task<VcpuExit> Start(X64Guest guest, ManualResetEventSlim started) => Task.Factory.StartNew(() =>
    {
        started.Set();
        return guest.Run();
    }, TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
