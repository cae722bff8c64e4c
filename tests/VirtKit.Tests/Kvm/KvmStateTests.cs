using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>State in and out, interrupts, the dirty log, doorbells.</summary>
public sealed class KvmStateTests
{
    [Fact]
    public void SetState_OfAnotherMachine_GoesOnWhereItStood()
    {
        X64State state;
        using (var first = new X64Guest(new X64Architecture { HypercallPort = 0xe8 }))
        {
            first.Load(64, Program);
            Assert.Equal(ExitReason.Hypercall, first.Run().Reason);
            state = first.Vcpu.GetState<X64State>();
            state.Xsave[512] |= 2; // SSE state is in use
            for (int i = 160; i < 176; i++)
                state.Xsave[i] = (byte)i;
        }

        using var second = new X64Guest();
        second.Load(64, Program);
        second.Vcpu.SetState(in state);
        X64State copy = second.Vcpu.GetState<X64State>();
        Assert.Equal(state.Registers, copy.Registers);
        Assert.Equal((state.Cs.Selector, state.Cr0, state.Cr3, state.Cr4, state.Efer, state.Dr7, state.Xcr0), (copy.Cs.Selector, copy.Cr0, copy.Cr3, copy.Cr4, copy.Efer, copy.Dr7, copy.Xcr0));
        Assert.Equal(state.FindMsr(0xc000_0102), copy.FindMsr(0xc000_0102));
        Assert.Equal(0x1234_5678ul, copy.FindMsr(0xc000_0102));
        Assert.Equal(state.Xsave[160..176].ToArray(), copy.Xsave[160..176].ToArray());
        Assert.Equal(ExitReason.Halted, second.Run().Reason);
        Assert.Equal(0x1122_3344ul, second.Registers.Rcx);

        static void Program(Assembler a)
        {
            a.mov(ebx, 0x1122_3344);
            a.mov(ecx, 0xc000_0102);
            a.mov(eax, 0x1234_5678);
            a.xor(edx, edx);
            a.wrmsr();
            a.@out(0xe8, eax);
            a.mov(rcx, rbx);
            a.hlt();
        }
    }

    [Fact]
    public void SetState_ThatTheProcessorCannotBeIn_IsRefused()
    {
        using var guest = new X64Guest();
        X64State state = guest.Vcpu.GetState<X64State>();
        state.Cr4 |= 1ul << 63;
        Assert.Throws<ArgumentException>(() => guest.Vcpu.SetState(in state));
    }

    [Fact]
    public void Reset_AfterARun_IsThePowerOnState()
    {
        using var guest = new X64Guest();
        X64State fresh = guest.Vcpu.GetState<X64State>();
        Assert.Equal((0xfff0ul, 0xffff_0000ul), (fresh.Registers.Rip, fresh.Cs.Base));
        guest.Load(64, a => a.hlt());
        guest.Run();
        guest.Vcpu.Reset();
        X64State reset = guest.Vcpu.GetState<X64State>();
        Assert.Equal(fresh.Registers, reset.Registers);
        Assert.Equal((fresh.Cr0, fresh.Cr3, fresh.Cr4, fresh.Efer, fresh.Cs.Base, fresh.Activity), (reset.Cr0, reset.Cr3, reset.Cr4, reset.Efer, reset.Cs.Base, reset.Activity));
    }

    [Fact]
    public void Pin_Intr_DeliversTheControllersVectorOnceInterruptsAreEnabled()
    {
        var controller = new OneShot(0x40);
        using var guest = new X64Guest();
        X64Platform.Of(guest.Machine).InterruptController = controller;
        controller.Line = guest.Vcpu.Pin(X64Pin.Intr);
        guest.Load(16, a =>
        {
            // Real mode's vector table at 0: vector 0x40 at 0x100.
            a.xor(ax, ax);
            a.mov(ds, ax);
            a.mov(__word_ptr[0x100], 0x800);
            a.mov(__word_ptr[0x102], (short)(X64Guest.Code >> 4));
            a.mov(bx, 1);
            a.sti();
            a.hlt();
            a.mov(cx, bx);
            a.hlt();
        });
        guest.Machine.Memory.Write(new Gpa(X64Guest.Code + 0x800), X64Guest.Assemble(16, a =>
        {
            a.mov(bx, 77);
            a.iret();
        }, 0x800));
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(1ul, guest.Registers.Rbx & 0xffff);
        controller.Raise();
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal(77ul, guest.Registers.Rcx & 0xffff);
    }

    [Fact]
    public void DirtyLog_AfterStores_NamesTheirPagesOnce()
    {
        using var guest = new X64Guest();
        var partition = (KvmPartition)guest.Machine.Partition;
        guest.Load(64, a =>
        {
            a.mov(__dword_ptr[0x50_000], eax);
            a.mov(__dword_ptr[0xa5_123], eax);
            a.mov(eax, __dword_ptr[0x90_000]);
            a.hlt();
        });
        ulong[] bitmap = new ulong[X64Guest.RamSize / 4096 / 64];
        Assert.Throws<InvalidOperationException>(() => partition.CollectDirtyPages(guest.Ram, bitmap));
        partition.StartDirtyLog(guest.Ram);
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        partition.CollectDirtyPages(guest.Ram, bitmap);
        Assert.True(IsDirty(0x50));
        Assert.True(IsDirty(0xa5));
        Assert.False(IsDirty(0x90));
        partition.CollectDirtyPages(guest.Ram, bitmap);
        Assert.False(IsDirty(0x50));
        partition.StopDirtyLog(guest.Ram);
        Assert.Throws<ArgumentException>(() => partition.CollectDirtyPages(guest.Ram, new ulong[1]));

        bool IsDirty(int page) => ((bitmap[page / 64] >> (page % 64)) & 1) != 0;
    }

    [Fact]
    public void Doorbell_RungByTheGuest_SignalsWithoutAnExit()
    {
        using var guest = new X64Guest();
        var partition = (KvmPartition)guest.Machine.Partition;
        using KvmEvent bell = partition.CreateDoorbell(new Gpa(0x1000_0000), 4), port = partition.CreatePortDoorbell(0x600, 2, 7);
        guest.Load(64, a =>
        {
            a.mov(rbx, 0x1000_0000);
            a.mov(__dword_ptr[rbx], eax);
            a.mov(dx, 0x600);
            a.mov(ax, 7);
            a.@out(dx, ax);
            a.mov(ax, 8);
            a.@out(dx, ax);
            a.hlt();
        });
        Assert.Equal(0ul, bell.Take());
        Assert.Equal(ExitReason.Halted, guest.Run().Reason);
        Assert.Equal((1ul, 1ul), (bell.Take(), port.Take()));
        Assert.Throws<InvalidOperationException>(() => partition.CreateInterruptEvent(4));
    }

    [Fact]
    public void KernelController_InterruptEvent_WakesTheGuest()
    {
        using var guest = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel });
        var partition = (KvmPartition)guest.Machine.Partition;
        using KvmEvent interrupt = partition.CreateInterruptEvent(4);
        guest.Machine.Ports!.Map(new Gpa(0x500), new Trigger(guest, interrupt));
        guest.Load(16, a =>
        {
            Label wait = a.CreateLabel();
            a.xor(ax, ax);
            a.mov(ds, ax);
            a.mov(__word_ptr[0x24 * 4], 0x800);
            a.mov(__word_ptr[(0x24 * 4) + 2], (short)(X64Guest.Code >> 4));
            foreach ((byte port, byte value) in (ReadOnlySpan<(byte, byte)>)[(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xef)])
            {
                a.mov(al, value);
                a.@out(port, al);
            }

            a.mov(dx, 0x500);
            a.mov(al, 1);
            a.@out(dx, al);
            a.sti();
            a.Label(ref wait);
            a.hlt();
            a.jmp(wait);
        });
        guest.Machine.Memory.Write(new Gpa(X64Guest.Code + 0x800), X64Guest.Assemble(16, a =>
        {
            a.mov(al, 33);
            a.mov(dx, 0x500);
            a.@out(dx, al);
            a.iret();
        }, 0x800));
        Assert.Equal(ExitReason.Kicked, guest.Run().Reason);
        Assert.Equal(33ul, guest.Registers.Rax & 0xff);
        Assert.NotEqual(0ul, partition.ParavirtualClock);
    }

    [Fact]
    public void KernelController_InitAndSipi_StartTheSecondVcpu()
    {
        using var guest = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel }, vcpuCount: 2);
        guest.Machine.Ports!.Map(new Gpa(0x500), new Finisher(guest.Machine));
        Assert.Equal(X64Activity.Uninitialized, guest.Machine.Vcpus[1].GetState<X64State>().Activity);
        guest.Load(32, a =>
        {
            Label wait = a.CreateLabel();
            a.mov(__dword_ptr[0xfee0_00f0], 0x1ff); // the local APIC on
            a.mov(__dword_ptr[0xfee0_0300], 0xc_4500); // INIT to all others
            a.mov(__dword_ptr[0xfee0_0300], 0xc_4608); // start at 0x8000
            a.Label(ref wait);
            a.pause();
            a.cmp(__dword_ptr[0x9000], 0x1234);
            a.jne(wait);
            a.mov(dx, 0x500);
            a.mov(al, 5);
            a.@out(dx, al);
            a.hlt();
        });
        guest.Machine.Memory.Write(new Gpa(0x8000), X64Guest.Assemble(16, a =>
        {
            a.xor(ax, ax);
            a.mov(ds, ax);
            a.mov(__word_ptr[0x9000], 0x1234);
            a.hlt();
        }, 0));
        using var limit = new CancellationTokenSource(Hang.Limit);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 5), guest.Machine.Run(limit.Token));
    }

    /// <summary>Raises the interrupt when the guest is ready for it, and stops the guest when it has come.</summary>
    private sealed class Trigger(X64Guest guest, KvmEvent interrupt) : IDevice
    {
        public DeviceWindow Window => new("trigger", 8);

        public ulong Read(ulong offset, int size) => 0;

        public void Write(ulong offset, int size, ulong value)
        {
            if (value == 1)
                interrupt.Signal();
            else
                guest.Vcpu.Kick();
        }

        public void Reset()
        {
        }
    }

    private sealed class OneShot(int vector) : IX64InterruptController
    {
        public InterruptLine Line { get; set; }

        public void Raise() => Line.Set(true);

        public int Acknowledge(int vcpu)
        {
            Line.Set(false);
            return vector;
        }

        public void SetTaskPriority(int vcpu, byte priority)
        {
        }
    }
}
