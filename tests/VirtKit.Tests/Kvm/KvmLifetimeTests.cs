using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>What is left of a machine that has been disposed of: its descriptors' numbers and its addresses may belong to something else by then.</summary>
public sealed class KvmLifetimeTests
{
    [Fact]
    public void Vcpu_OfADisposedMachine_RefusesEverythingButSignals()
    {
        var guest = new X64Guest();
        guest.Load(64, a => a.hlt());
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Vcpu vcpu = guest.Vcpu;
        guest.Dispose();
        X64State state = default;
        Assert.Throws<ObjectDisposedException>(() => vcpu.Run(cancellationToken: TestContext.Current.CancellationToken));
        Assert.Throws<ObjectDisposedException>(() => vcpu.GetState<X64State>());
        Assert.Throws<ObjectDisposedException>(() => vcpu.SetState(in state));
        Assert.Throws<ObjectDisposedException>(() => vcpu.GetState<X64Registers>());
        Assert.Throws<ObjectDisposedException>(vcpu.Reset);
        vcpu.Kick();
        vcpu.Pin(X64Pin.Intr).Set(true);
        vcpu.Pin(X64Pin.Nmi).Set(true);
    }

    [Fact]
    public async Task Dispose_WhileAThreadOfTheHostRunsAVcpu_StopsItFirst()
    {
        for (int i = 0; i < 20; i++)
        {
            var guest = new X64Guest();
            var device = new Recorder();
            guest.Machine.Ports!.Map(new Gpa(0x80), device);
            guest.Load(64, a =>
            {
                Label again = a.CreateLabel();
                a.@in(al, 0x80);
                a.Label(ref again);
                a.inc(rax);
                a.jmp(again);
            });
            Task<VcpuExit> run = Task.Run(() => guest.Vcpu.Run());
            Assert.True(SpinWait.SpinUntil(() => device.Reads > 0, X64Guest.HangLimit));
            guest.Dispose();
            Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(X64Guest.HangLimit, TestContext.Current.CancellationToken)).Reason);
        }
    }

    [Fact]
    public void LineAndEvents_OfADisposedMachine_ReachNobody()
    {
        var guest = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel });
        var partition = (KvmPartition)guest.Machine.Partition;
        InterruptLine line = partition.Input(4);
        KvmEvent bell = partition.CreateDoorbell(new Gpa(0x1000_0000), 4), interrupt = partition.CreateInterruptEvent(4);
        guest.Dispose();
        // Its numbers are taken again.
        using var next = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel });
        ((KvmPartition)next.Machine.Partition).GetState(out X64InterruptChipsState before);
        line.Set(true);
        interrupt.Signal();
        ((KvmPartition)next.Machine.Partition).GetState(out X64InterruptChipsState after);
        Assert.Equal((before.IoApic.Lines, before.PrimaryPic.Lines), (after.IoApic.Lines, after.PrimaryPic.Lines));
        Assert.Throws<VirtKitException>(() => partition.ParavirtualClock);
        Assert.Equal(0ul, bell.Take());
        bell.Dispose();
        bell.Dispose();
        interrupt.Dispose();
        Assert.Throws<ObjectDisposedException>(interrupt.Signal);
        Assert.Throws<ObjectDisposedException>(() => bell.Take());
    }

    [Fact]
    public void Events_OutOfRange_AreRefused()
    {
        using var guest = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel });
        var partition = (KvmPartition)guest.Machine.Partition;
        Assert.Throws<ArgumentOutOfRangeException>(() => partition.Input(24));
        Assert.Throws<ArgumentOutOfRangeException>(() => partition.CreateInterruptEvent(-1));
        Assert.Throws<VirtKitException>(() => partition.CreateDoorbell(new Gpa(0x1000_0000), 3));
        using KvmEvent first = partition.CreateDoorbell(new Gpa(0x1000_0000), 4);
        Assert.Throws<VirtKitException>(() => partition.CreateDoorbell(new Gpa(0x1000_0000), 4));
    }
}
