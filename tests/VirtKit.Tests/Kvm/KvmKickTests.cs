using System.Diagnostics;
using Iced.Intel;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Stopping a guest from another thread, and hostile guests.</summary>
public sealed class KvmKickTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task Kick_WhileTheGuestLoops_StopsIt()
    {
        using var guest = new X64Guest();
        guest.Load(64, Endless);
        for (int i = 0; i < 20; i++)
        {
            using var started = new ManualResetEventSlim();
            Task<VcpuExit> run = Start(guest, started);
            started.Wait(TestContext.Current.CancellationToken);
            Thread.Sleep(i % 4);
            guest.Vcpu.Kick();
            VcpuExit exit = await run.WaitAsync(Limit, TestContext.Current.CancellationToken);
            Assert.Equal(ExitReason.Kicked, exit.Reason);
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
        long start = Stopwatch.GetTimestamp();
        Assert.Equal(ExitReason.Kicked, guest.Machine.Run(source.Token).Reason);
        Assert.True(Stopwatch.GetElapsedTime(start) < Limit);
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
        using var source = new CancellationTokenSource(50);
        Assert.Equal(ExitReason.Kicked, guest.Vcpu.Run(cancellationToken: source.Token).Reason);
        Assert.True(device.Reads > 10, $"{device.Reads} accesses");
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
    public void Run_DeviceThatStopsTheMachine_StopsBehindTheInstruction()
    {
        using var guest = new X64Guest();
        guest.Machine.Ports!.Map(new Gpa(0x500), new Stopper(guest.Machine));
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

    private sealed class Stopper(Machine machine) : IDevice
    {
        public DeviceWindow Window => new("stopper", 8);

        public ulong Read(ulong offset, int size) => 0;

        public void Write(ulong offset, int size, ulong value) => machine.RequestShutdown((int)value);

        public void Reset()
        {
        }
    }
}
