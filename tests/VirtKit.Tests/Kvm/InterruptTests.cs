using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;
using static VirtKit.Tests.Kvm.X64BoardGuest;

namespace VirtKit.Tests.Kvm;

/// <summary>Guests that take interrupts through PIC, I/O APIC and local APIC, with the kernel's chips and with ours: what they see is the same.</summary>
public sealed class InterruptTests
{
    private const int OneShot = 0, Periodic = 1 << 17, Deadline = 2 << 17, Masked = 1 << 16, Level = 1 << 15;

    public static TheoryData<KvmInterruptController> Chips => X64BoardGuest.Chips;

    [Theory, MemberData(nameof(Chips))]
    public void SelfIpi_InterruptsOn_IsTakenAndEnded(KvmInterruptController chips) => Run(chips, "01410241", a =>
    {
        Note(a, 1);
        Lapic(a, 0x300, 0x4_0041);
        Await(a, 0x41, 1);
        Note(a, 2);
        Lapic(a, 0x300, 0x4_0041);
        Await(a, 0x41, 2);
    });

    [Theory, MemberData(nameof(Chips))]
    public void SelfIpis_SeveralPending_AreTakenByPriority(KvmInterruptController chips) => Run(chips, "00e1514101", a =>
    {
        Lapic(a, 0x300, 0x4_0041);
        Lapic(a, 0x300, 0x4_00e1);
        Lapic(a, 0x300, 0x4_0051);
        Note(a, 0);
        Await(a, 0x41, 1);
        Note(a, 1);
    });

    [Theory, MemberData(nameof(Chips))]
    public void TaskPriority_AboveAnInterrupt_HoldsItBack(KvmInterruptController chips) => Run(chips, "610001410220", a =>
    {
        Lapic(a, 0x80, 0x50);
        Lapic(a, 0x300, 0x4_0041);
        Lapic(a, 0x300, 0x4_0061);
        Await(a, 0x61, 1);
        Open(a);
        Note(a, 0);
        Open(a);
        Note(a, 1);
        Lapic(a, 0x80, 0x20);
        Await(a, 0x41, 1);
        Note(a, 2);
        Peek(a, 0xa0);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Cr8_AndTheTaskPriorityRegister_AreOne(KvmInterruptController chips) => Run(chips, "60000441004100", a =>
    {
        a.mov(eax, 6);
        a.mov(cr8, rax);
        Peek(a, 0x80);
        Lapic(a, 0x300, 0x4_0041);
        Open(a);
        Note(a, 0);
        Lapic(a, 0x80, 0x47);
        a.mov(rax, cr8);
        NoteAl(a);
        a.xor(eax, eax);
        a.mov(cr8, rax);
        Await(a, 0x41, 1);
        Peek(a, 0x80);
        Lapic(a, 0x300, 0x4_0041);
        Await(a, 0x41, 2);
        Peek(a, 0x80);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Timer_OneShot_ComesOnce(KvmInterruptController chips) => Run(chips, "7100710000", a =>
    {
        StartTimer(a, OneShot | 0x71, 100_000);
        Await(a, 0x71, 1);
        Peek(a, 0x390);
        StartTimer(a, OneShot | 0x71, 1);
        Await(a, 0x71, 2);
        Peek(a, 0x390);
        // Masked, it runs out unheard.
        StartTimer(a, Masked | 0x71, 1000);
        Label wait = a.CreateLabel();
        a.Label(ref wait);
        a.mov(ebx, LocalApic + 0x390);
        a.cmp(__dword_ptr[rbx], 0);
        a.jne(wait);
        Open(a);
        Note(a, 0);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Timer_Periodic_ComesAgainAndAgain(KvmInterruptController chips) => Run(chips, "0071717171", a =>
    {
        Note(a, 0);
        StartTimer(a, Periodic | 0x71, 100_000);
        Await(a, 0x71, 4);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Timer_Deadline_ComesWhenTheCounterIsThereAndDisarms(KvmInterruptController chips) => Run(chips, "01017100710000", a =>
    {
        a.mov(eax, 1);
        a.cpuid();
        a.shr(ecx, 24);
        a.mov(eax, ecx);
        a.and(al, 1);
        NoteAl(a);
        Lapic(a, 0x320, Deadline | 0x71);
        SetDeadline(a, 400_000_000);
        a.mov(ecx, 0x6e0);
        a.rdmsr();
        a.or(eax, edx);
        a.setne(al);
        NoteAl(a);
        Await(a, 0x71, 1);
        PeekDeadline(a);
        // One that has passed comes at once; one that is taken back, or written in another mode, does not come.
        SetDeadline(a, 0);
        Await(a, 0x71, 2);
        SetDeadline(a, 1_000_000_000);
        a.mov(ecx, 0x6e0);
        a.xor(eax, eax);
        a.xor(edx, edx);
        a.wrmsr();
        PeekDeadline(a);
        Lapic(a, 0x320, OneShot | 0x71);
        SetDeadline(a, 1000);
        Open(a);
        PeekDeadline(a);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Nmi_InterruptsOff_IsTaken(KvmInterruptController chips) => Run(chips, "000201", a =>
    {
        Note(a, 0);
        Lapic(a, 0x310, 0);
        Lapic(a, 0x300, 0x4400);
        a.@out(0x80, al);
        Label wait = a.CreateLabel();
        a.Label(ref wait);
        a.cmp(__dword_ptr[Counts + 8], 0);
        a.je(wait);
        Note(a, 1);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Pit_ThroughThePics_InterruptsOnTerminalCount(KvmInterruptController chips) => Run(chips, "002001200220", a =>
    {
        StartPics(a, 0xfffe);
        StartPit(a, 0x30, 5000);
        Note(a, 0);
        Await(a, 0x20, 1);
        Note(a, 1);
        StartPit(a, 0x30, 1000);
        Await(a, 0x20, 2);
        Note(a, 2);
        // A square wave comes again by itself.
        StartPit(a, 0x36, 5000);
        Await(a, 0x20, 3);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Pit_ThroughTheIoApic_Interrupts(KvmInterruptController chips) => Run(chips, "00515151", a =>
    {
        Note(a, 0);
        StartPics(a, 0xffff);
        Redirect(a, 0, 0x51);
        StartPit(a, 0x34, 5000);
        Await(a, 0x51, 3);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Serial_ThroughTheIoApic_InterruptsOnAnEdge(KvmInterruptController chips) => Run(chips, "0054020154", a =>
    {
        StartPics(a, 0xffff);
        Redirect(a, 4, 0x54);
        Note(a, 0);
        // The transmitter is empty: the interrupt comes when it is enabled, and reading IIR takes it away.
        Out(a, 0x3f9, 2);
        Await(a, 0x54, 1);
        Open(a);
        a.mov(dx, 0x3fa);
        a.@in(al, dx);
        a.and(al, 0xf);
        NoteAl(a);
        a.@in(al, dx);
        a.and(al, 0xf);
        NoteAl(a);
        Out(a, 0x3f8, (byte)'x');
        Await(a, 0x54, 2);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Serial_ThroughTheIoApic_OnALevelComesUntilItFalls(KvmInterruptController chips) => Run(chips, "0034c03434c0348001", a =>
    {
        StartPics(a, 0xffff);
        Redirect(a, 4, Level | 0x34);
        Note(a, 0);
        Out(a, 0x3f9, 2);
        for (int i = 1; i <= 3; i++)
        {
            if (i == 2)
                PeekRemoteIrr(a);
            Await(a, 0x34, i);
            Lapic(a, 0xb0, 0);
        }

        // The last end found the line up: it was requested once more, and that is all.
        PeekRemoteIrr(a);
        Out(a, 0x3f9, 0);
        Await(a, 0x34, 4);
        Lapic(a, 0xb0, 0);
        PeekRemoteIrr(a);
        Open(a);
        Note(a, 1);
    });

    [Theory, MemberData(nameof(Chips))]
    public void Rtc_ThroughBothPics_Interrupts(KvmInterruptController chips) => Run(chips, "0028c02801", a =>
    {
        StartPics(a, 0xfefb);
        Note(a, 0);
        Out(a, 0x70, 0x0b);
        Out(a, 0x71, 0x42); // periodic, 1024 Hz
        Await(a, 0x28, 1);
        Out(a, 0x70, 0x0c);
        a.@in(al, 0x71);
        a.and(al, 0xc0);
        NoteAl(a);
        Await(a, 0x28, 2);
        Note(a, 1);
    });

    [Fact]
    public void Cpuid_TscDeadlineAndX2Apic_AreShownWhereTheyAreProvided()
    {
        using var ours = new X64BoardGuest(KvmInterruptController.External);
        using var nobodys = new X64Guest();
        Assert.Equal((true, false), Shown(ours.Machine));
        Assert.Equal((false, false), Shown(nobodys.Machine));

        static (bool Deadline, bool X2Apic) Shown(Machine machine)
        {
            // What a nested kernel shows in spite of the policy, it says.
            CpuidTable table = ((KvmPartition)machine.Partition).Cpuid[0];
            uint ecx = table.Lookup(1, 0).Ecx;
            return ((ecx >> 24 & 1) != 0, (ecx >> 21 & 1) != 0);
        }
    }

    [Fact]
    public void Deadline_HiddenByThePolicy_RaisesGeneralProtection()
    {
        using var guest = new X64BoardGuest(KvmInterruptController.External, architecture: new X64Architecture { Cpuid = CpuidPolicy.Host.Hide("tsc_deadline") });
        guest.Load(a =>
        {
            a.mov(ecx, 0x6e0);
            a.rdmsr();
            Exit(a, 1);
        });
        Assert.Equal(0xe0ul + 13, guest.Run());
    }

    [Fact]
    public void ApicBase_Moved_TakesThePageAlong()
    {
        using var guest = new X64BoardGuest(KvmInterruptController.External);
        guest.Load(a =>
        {
            a.mov(ecx, 0x1b);
            a.mov(eax, 0xfed0_0900);
            a.xor(edx, edx);
            a.wrmsr();
            a.mov(ebx, 0xfed0_0030);
            a.mov(eax, __dword_ptr[rbx]);
            NoteAl(a);
            a.mov(ebx, LocalApic + 0x30);
            a.mov(eax, __dword_ptr[rbx]);
            NoteAl(a);
            Exit(a, 0);
        });
        Assert.Equal(0ul, guest.Run());
        Assert.Equal("14ff", guest.ReadLog());
    }

    private static void Run(KvmInterruptController chips, string expected, Action<Assembler> write)
    {
        using var guest = new X64BoardGuest(chips);
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            write(a);
            Exit(a, 0);
        });
        Assert.Equal(0ul, guest.Run());
        // What is periodic may have come more often before it is looked at.
        Assert.StartsWith(expected, guest.ReadLog(), StringComparison.Ordinal);
    }

    /// <summary>Notes bits 7:0 of a register of the local APIC.</summary>
    private static void Peek(Assembler a, int offset)
    {
        a.mov(ebx, LocalApic + (uint)offset);
        a.mov(eax, __dword_ptr[rbx]);
        NoteAl(a);
    }

    /// <summary>Starts the local APIC's timer, divided by 16.</summary>
    private static void StartTimer(Assembler a, uint lvt, uint count)
    {
        Lapic(a, 0x3e0, 3);
        Lapic(a, 0x320, lvt);
        Lapic(a, 0x380, count);
    }

    /// <summary>Notes bits 15:8 of the serial port's redirection entry: 15 level, 14 remote IRR.</summary>
    private static void PeekRemoteIrr(Assembler a)
    {
        Store(a, IoApic, 0x18);
        a.mov(ebx, IoApic + 0x10);
        a.mov(eax, __dword_ptr[rbx]);
        a.mov(al, ah);
        NoteAl(a);
    }

    private static void SetDeadline(Assembler a, int ticks)
    {
        a.rdtsc();
        a.shl(rdx, 32);
        a.or(rax, rdx);
        a.add(rax, ticks);
        a.mov(rdx, rax);
        a.shr(rdx, 32);
        a.mov(ecx, 0x6e0);
        a.wrmsr();
    }

    /// <summary>Notes whether a deadline is set.</summary>
    private static void PeekDeadline(Assembler a)
    {
        a.mov(ecx, 0x6e0);
        a.rdmsr();
        a.or(eax, edx);
        a.setne(al);
        NoteAl(a);
    }

    private static void StartPit(Assembler a, byte control, ushort count)
    {
        Out(a, 0x43, control);
        Out(a, 0x40, (byte)count);
        Out(a, 0x40, (byte)(count >> 8));
    }
}
