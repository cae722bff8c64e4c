using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;
using static VirtKit.Tests.Kvm.X64BoardGuest;

namespace VirtKit.Tests.Kvm;

/// <summary>Two vCPUs: start-up and interrupts between them, with the kernel's chips and with ours.</summary>
public sealed class MultiprocessorTests
{
    private const uint Init = 0x4500, StartUp = 0x4600, Others = 0xc_0000, All = 0x8_0000, Nmi = 0x4400, Logical = 0x800, LowestPriority = 0x4100;

    public static TheoryData<KvmInterruptController> Chips => X64BoardGuest.Chips;

    [Theory, MemberData(nameof(Chips))]
    public void StartUp_SecondVcpu_SeesItsOwnLocalApic(KvmInterruptController chips)
    {
        using var guest = new X64BoardGuest(chips, vcpuCount: 2);
        guest.LoadSecond(a =>
        {
            NoteIdentity(a);
            Lapic(a, 0xf0, 0x1ff);
            Lapic(a, 0x80, 0x77);
            Lapic(a, 0x310, 0);
            Lapic(a, 0x300, 0x4065);
            Sleep(a);
        });
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            NoteIdentity(a);
            Start(a);
            Await(a, 0x65, 1);
            // The other's task priority is not ours.
            a.mov(ebx, LocalApic + 0x80);
            a.mov(eax, __dword_ptr[rbx]);
            NoteAl(a);
            Exit(a, 0);
        });
        Assert.Equal(0ul, guest.Run());
        Assert.Equal("00006500", guest.ReadLog());
        Assert.Equal("0100", guest.ReadLog(1));
    }

    [Theory, MemberData(nameof(Chips))]
    public void Ipi_EveryKindOfDestination_Arrives(KvmInterruptController chips)
    {
        using var guest = new X64BoardGuest(chips, vcpuCount: 2);
        guest.LoadSecond(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            Lapic(a, 0xd0, 0x0200_0000);
            Lapic(a, 0x310, 0);
            Lapic(a, 0x300, 0x4065);
            Sleep(a);
        });
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            Lapic(a, 0xd0, 0x0100_0000);
            Start(a);
            Await(a, 0x65, 1);
            // Fixed, by APIC ID and by logical destination; all others; everybody; an NMI.
            Send(a, 1, 0x4061);
            Watch(a, 0x61, 1);
            Send(a, 2, Logical | 0x4062);
            Watch(a, 0x62, 1);
            Send(a, 0, Others | 0x4063);
            Watch(a, 0x63, 1);
            Send(a, 0, All | 0x4064);
            a.sti();
            Watch(a, 0x64, 2);
            Send(a, 1, Nmi);
            Watch(a, 2, 1);
            Send(a, 0xff, 0x4066);
            Watch(a, 0x66, 2);
            // Lowest priority: to one of them, whichever it is.
            Send(a, 3, Logical | LowestPriority | 0x67);
            Watch(a, 0x67, 1);
            Exit(a, 0);
        });
        Assert.Equal(0ul, guest.Run());
        Assert.Equal([1u, 1u, 1u, 2u, 1u, 2u, 1u], new byte[] { 0x61, 0x62, 0x63, 0x64, 2, 0x66, 0x67 }.Select(guest.Count));
        string first = guest.ReadLog(), second = guest.ReadLog(1);
        Assert.StartsWith("656466", first, StringComparison.Ordinal);
        Assert.StartsWith("616263640266", second, StringComparison.Ordinal);
        Assert.Equal("65646661626364026667".Length, first.Length + second.Length);
    }

    [Theory, MemberData(nameof(Chips))]
    public void Init_RunningVcpu_StartsAnew(KvmInterruptController chips)
    {
        using var guest = new X64BoardGuest(chips, vcpuCount: 2);
        guest.LoadSecond(a =>
        {
            // The first time it spins with interrupts off, the second time it is asleep.
            Label spin = a.CreateLabel(), sleep = a.CreateLabel();
            Lapic(a, 0xf0, 0x1ff);
            a.@lock.inc(__dword_ptr[Counts]);
            a.cmp(__dword_ptr[Counts], 2);
            a.jae(sleep);
            a.Label(ref spin);
            a.pause();
            a.jmp(spin);
            a.Label(ref sleep);
            a.nop();
            Sleep(a);
        });
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            for (int i = 1; i <= 3; i++)
            {
                Start(a);
                Watch(a, 0, i);
            }

            // A vCPU that runs ignores start-up messages.
            Send(a, 1, StartUp | StartUpPage);
            Send(a, 1, 0x4061);
            Watch(a, 0x61, 1);
            Exit(a, 0);
        });
        Assert.Equal(0ul, guest.Run());
        Assert.Equal(3u, guest.Count(0));
        Assert.Equal("61", guest.ReadLog(1));
    }

    [Theory, MemberData(nameof(Chips))]
    public void Reset_AfterARun_LeavesTheSecondVcpuWaiting(KvmInterruptController chips)
    {
        using var guest = new X64BoardGuest(chips, vcpuCount: 2);
        for (int i = 0; i < 3; i++)
        {
            guest.LoadSecond(a =>
            {
                NoteIdentity(a);
                a.@lock.inc(__dword_ptr[Counts]);
                Sleep(a);
            });
            guest.Load(a =>
            {
                Lapic(a, 0xf0, 0x1ff);
                a.mov(__dword_ptr[Counts], 0);
                Start(a);
                Watch(a, 0, 1);
                Exit(a, 5);
            });
            Assert.Equal(5ul, guest.Run());
            guest.Machine.Reset();
            Assert.Contains(guest.Machine.Vcpus[1].GetState<X64State>().Activity, new[] { X64Activity.Uninitialized, X64Activity.WaitForSipi });
        }
    }

    /// <summary>INIT and start-up to all others, as the protocol has it but for its waits.</summary>
    private static void Start(Assembler a)
    {
        Send(a, 0, Others | Init);
        Send(a, 0, Others | StartUp | StartUpPage);
        Send(a, 0, Others | StartUp | StartUpPage);
    }

    private static void Send(Assembler a, byte destination, uint command)
    {
        Lapic(a, 0x310, (uint)destination << 24);
        Lapic(a, 0x300, command);
    }

    /// <summary>Notes the APIC ID and the task priority.</summary>
    private static void NoteIdentity(Assembler a)
    {
        a.mov(ebx, LocalApic + 0x20);
        a.mov(eax, __dword_ptr[rbx]);
        a.shr(eax, 24);
        NoteAl(a);
        a.mov(ebx, LocalApic + 0x80);
        a.mov(eax, __dword_ptr[rbx]);
        NoteAl(a);
    }

    private static void Sleep(Assembler a)
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        a.sti();
        a.hlt();
        a.jmp(again);
    }
}
