using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.State;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;
using static VirtKit.Tests.Kvm.X64BoardGuest;

namespace VirtKit.Tests.Kvm;

/// <summary>A running machine's state out of one and into another, with the kernel's interrupt chips and with ours: it goes on as if nothing had been.</summary>
public sealed class MachineStateTests
{
    private const byte Stopped = 1, Ended = 2, Ticks = 0x71, PitTicks = 0x52;
    private const int Periodic = 1 << 17, Deadline = 2 << 17, Masked = 1 << 16;

    public static MatrixTheoryData<KvmInterruptController, KvmInterruptController> Chips =>
        new([KvmInterruptController.Kernel, KvmInterruptController.External], [KvmInterruptController.Kernel, KvmInterruptController.External]);

    [Theory, MemberData(nameof(Chips))]
    public void State_MidWay_GoesOnInANewMachine(KvmInterruptController from, KvmInterruptController to)
    {
        MachineSnapshot saved;
        string undisturbed;
        using (var first = new X64BoardGuest(from))
        {
            first.Load(Program);
            Assert.Equal(Stopped, first.Run());
            saved = first.Save();
            Assert.Equal(Ended, first.Run());
            undisturbed = Events(first);
        }

        using var second = new X64BoardGuest(to);
        second.Restore(saved);
        Assert.Equal(Ended, second.Run());
        Assert.Equal("aa200299ff345ce1415d", undisturbed);
        Assert.Equal(undisturbed, Events(second));
    }

    /// <summary>The engine's chips change under the board: its lines, the vectors in flight and the timers go over.</summary>
    [Theory, MemberData(nameof(Chips))]
    public void SwitchEngine_MidWay_GoesOnWithTheOtherChips(KvmInterruptController from, KvmInterruptController to)
    {
        using var guest = new X64BoardGuest(from);
        guest.Load(Program);
        Assert.Equal(Stopped, guest.Run());
        guest.Machine.SwitchEngine(new KvmEngine(new KvmOptions { InterruptController = to }));
        Assert.Equal(to == KvmInterruptController.Kernel, ((KvmPartition)guest.Machine.Partition).ArePresent);
        Assert.Equal(Ended, guest.Run());
        Assert.Equal("aa200299ff345ce1415d", Events(guest));
    }

    /// <summary>To and fro, while it runs: from a timer of the machine.</summary>
    [Theory, MemberData(nameof(Chips))]
    public void SwitchEngine_WhileItRuns_LosesNoInterrupt(KvmInterruptController from, KvmInterruptController to)
    {
        using var guest = new X64BoardGuest(from);
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            Lapic(a, 0x3e0, 3);
            Lapic(a, 0x320, Periodic | Ticks);
            Lapic(a, 0x380, 1_000_000);
            Await(a, Ticks, 50);
            Lapic(a, 0x300, 0x4_0041);
            Await(a, 0x41, 1);
            Exit(a, Ended);
        });
        KvmEngine[] engines = [.. new[] { to, from }.Select(chips => new KvmEngine(new KvmOptions { InterruptController = chips }))];
        int switches = 0;
        ClockTimer timer = null!;
        timer = guest.Machine.Clock.CreateTimer(new object(), () =>
        {
            guest.Machine.SwitchEngine(engines[switches++ % 2]);
            timer.Set(guest.Machine.Clock.Now + 20_000_000);
        });
        using (timer)
        {
            timer.Set(guest.Machine.Clock.Now + 20_000_000);
            Assert.Equal(Ended, guest.Run());
        }

        Assert.True(guest.Count(Ticks) >= 50);
        Assert.Equal(1u, guest.Count(0x41));
    }

    /// <summary>Captured again and again while two vCPUs run, one of them by the timer of its local APIC; each capture goes on in another machine.</summary>
    [Theory, MemberData(nameof(Chips))]
    public async Task Capture_WhileItRuns_GoesOnHereAndThere(KvmInterruptController from, KvmInterruptController to)
    {
        using var guest = new X64BoardGuest(from, vcpuCount: 2);
        guest.LoadSecond(a =>
        {
            Label again = a.CreateLabel();
            Lapic(a, 0xf0, 0x1ff);
            a.Label(ref again);
            a.@lock.inc(__dword_ptr[Counts]);
            a.pause();
            a.jmp(again);
        });
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            Lapic(a, 0x300, 0xc_4500);
            Lapic(a, 0x300, 0xc_4608);
            Watch(a, 0, 1);
            Lapic(a, 0x3e0, 3);
            Lapic(a, 0x320, Periodic | Ticks);
            Lapic(a, 0x380, 200_000);
            Await(a, Ticks, 100);
            Exit(a, Ended);
        });
        // One before the guest has begun, which a loaded host's first capture may find as well.
        List<MachineSnapshot> snapshots = [guest.Machine.Capture()];
        Task<VcpuExit> run = guest.Machine.RunAsync(TestContext.Current.CancellationToken);
        while (!run.IsCompleted && snapshots.Count < 5)
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
            snapshots.Add(guest.Machine.Capture());
        }

        Assert.Equal(new VcpuExit(ExitReason.Shutdown, Ended), await run.WaitAsync(Hang.Limit, TestContext.Current.CancellationToken));
        Assert.True(guest.Count(Ticks) >= 100);
        Assert.NotEmpty(snapshots);
        foreach (MachineSnapshot snapshot in snapshots)
        {
            using var other = new X64BoardGuest(to, vcpuCount: 2);
            other.Restore(snapshot);
            Assert.Equal(Ended, other.Run());
            Assert.True(other.Count(Ticks) >= 100);
        }
    }

    [Theory, MemberData(nameof(Chips))]
    public void State_WithAnNmiThatWaits_TakesItOnce(KvmInterruptController from, KvmInterruptController to)
    {
        MachineSnapshot saved;
        using (var first = new X64BoardGuest(from))
        {
            first.Load(a =>
            {
                Pause(a, Stopped);
                Await(a, 2, 1);
                Open(a);
                Open(a);
                Exit(a, Ended);
            });
            Assert.Equal(Stopped, first.Run());
            first.Machine.Vcpus[0].Pin(X64Pin.Nmi).Set(true);
            saved = first.Save();
        }

        using var second = new X64BoardGuest(to);
        second.Restore(saved);
        Assert.True(second.Machine.Vcpus[0].GetState<X64State>().Events.NmiPending);
        second.Machine.SwitchEngine(new KvmEngine(new KvmOptions { InterruptController = from }));
        Assert.True(second.Machine.Vcpus[0].GetState<X64State>().Events.NmiPending);
        Assert.Equal(Ended, second.Run());
        Assert.Equal("02", second.ReadLog());
    }

    [Theory, MemberData(nameof(Chips))]
    public void State_WithADeadline_KeepsIt(KvmInterruptController from, KvmInterruptController to)
    {
        MachineSnapshot saved;
        ulong deadline;
        using (var first = new X64BoardGuest(from))
        {
            first.Load(a =>
            {
                Lapic(a, 0xf0, 0x1ff);
                Lapic(a, 0x320, Deadline | 0x41);
                a.rdtsc();
                a.add(edx, 1); // some seconds
                a.mov(ecx, 0x6e0);
                a.wrmsr();
                Pause(a, Stopped);
                a.rdmsr();
                a.mov(r12d, edx);
                a.rdtsc();
                // Now a nearer one.
                a.add(eax, 1_000_000);
                a.adc(edx, 0);
                a.wrmsr();
                Await(a, 0x41, 1);
                Exit(a, Ended);
            });
            Assert.Equal(Stopped, first.Run());
            saved = first.Save();
            deadline = first.Machine.Vcpus[0].GetState<X64State>().FindMsr(0x6e0) ?? 0;
        }

        Assert.NotEqual(0ul, deadline);
        using var second = new X64BoardGuest(to);
        second.Restore(saved);
        Assert.Equal(deadline, second.Machine.Vcpus[0].GetState<X64State>().FindMsr(0x6e0));
        Assert.Equal(Ended, second.Run());
        Assert.Equal("41", second.ReadLog());
        Assert.Equal(deadline >> 32, second.Machine.Vcpus[0].GetState<X64Registers>().R12);
    }

    [Theory, MemberData(nameof(Chips))]
    public void State_OfTwoVcpus_GoesOnInANewMachine(KvmInterruptController from, KvmInterruptController to)
    {
        MachineSnapshot saved;
        using (var first = new X64BoardGuest(from, vcpuCount: 2))
        {
            first.LoadSecond(a =>
            {
                Label again = a.CreateLabel();
                Lapic(a, 0xf0, 0x1ff);
                a.@lock.inc(__dword_ptr[Counts]);
                a.Label(ref again);
                a.sti();
                a.hlt();
                a.jmp(again);
            });
            first.Load(a =>
            {
                Lapic(a, 0xf0, 0x1ff);
                Lapic(a, 0x300, 0xc_4500);
                Lapic(a, 0x300, 0xc_4608);
                Watch(a, 0, 1);
                Pause(a, Stopped);
                Lapic(a, 0x300, 0xc_4061);
                Watch(a, 0x61, 1);
                Exit(a, Ended);
            });
            Assert.Equal(Stopped, first.Run());
            saved = first.Save();
        }

        using var second = new X64BoardGuest(to, vcpuCount: 2);
        second.Restore(saved);
        Assert.Equal(Ended, second.Run());
        Assert.Equal("61", second.ReadLog(1));
    }

    /// <summary>INIT and the start-up message wait for a vCPU that has not run since: it starts in the new machine.</summary>
    [Theory, MemberData(nameof(Chips))]
    public void State_WithAStartUpThatWaits_StartsThere(KvmInterruptController from, KvmInterruptController to)
    {
        MachineSnapshot saved;
        using (X64BoardGuest first = ThatHasSentAStartUp(from, out _))
            saved = first.Save();
        using var second = new X64BoardGuest(to, vcpuCount: 2);
        second.Restore(saved);
        Assert.Equal(Ended, second.Run());
        Assert.Equal(1u, second.Count(0));
    }

    [Theory]
    [InlineData(KvmInterruptController.Kernel)]
    [InlineData(KvmInterruptController.External)]
    public void Reset_WithAStartUpThatWaits_ForgetsIt(KvmInterruptController chips)
    {
        using X64BoardGuest guest = ThatHasSentAStartUp(chips, out X64State before);
        guest.Machine.Reset();
        X64State after = guest.Machine.Vcpus[1].GetState<X64State>();
        Assert.Equal((before.Activity, before.Cs.Base, before.Registers.Rip), (after.Activity, after.Cs.Base, after.Registers.Rip));
    }

    /// <summary>A guest whose first vCPU has started the second, which has not run.</summary>
    /// <param name="before">The second vCPU's state before.</param>
    private static X64BoardGuest ThatHasSentAStartUp(KvmInterruptController chips, out X64State before)
    {
        var guest = new X64BoardGuest(chips, vcpuCount: 2);
        guest.LoadSecond(a =>
        {
            Label again = a.CreateLabel();
            a.@lock.inc(__dword_ptr[Counts]);
            a.Label(ref again);
            a.hlt();
            a.jmp(again);
        });
        guest.Load(a =>
        {
            Lapic(a, 0xf0, 0x1ff);
            Lapic(a, 0x300, 0xc_4500);
            Lapic(a, 0x300, 0xc_4608);
            Pause(a, Stopped);
            Watch(a, 0, 1);
            Exit(a, Ended);
        });
        before = guest.Machine.Vcpus[1].GetState<X64State>();
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, Stopped), guest.Machine.Vcpus[0].Run(cancellationToken: TestContext.Current.CancellationToken));
        return guest;
    }

    /// <summary>A guest with something in flight of every kind.</summary>
    private static void Program(Assembler a)
    {
        Lapic(a, 0xf0, 0x1ff);
        Lapic(a, 0x80, 0x20);
        StartPics(a, 0xffff);
        Redirect(a, 5, Masked | 0x99);
        Redirect(a, 0, PitTicks);
        Note(a, 0xaa);
        Out(a, 0x43, 0x34);
        Out(a, 0x40, 0x88);
        Out(a, 0x40, 0x13);
        Lapic(a, 0x3e0, 3);
        Lapic(a, 0x320, Periodic | Ticks);
        Lapic(a, 0x380, 100_000);
        Lapic(a, 0x300, 0x4_0041);
        Lapic(a, 0x300, 0x4_00e1);
        a.mov(r12d, 0x5c);
        Pause(a, Stopped);

        // What is read here was set before.
        Peek(a, LocalApic + 0x80);
        Peek(a, LocalApic + 0x220);
        Store(a, IoApic, 0x1a);
        Peek(a, IoApic + 0x10);
        a.@in(al, 0x21);
        NoteAl(a);
        Out(a, 0x43, 0xe2);
        a.@in(al, 0x40);
        a.and(al, 0x3f);
        NoteAl(a);
        a.mov(al, r12b);
        NoteAl(a);
        Await(a, 0x41, 1);
        Await(a, Ticks, 3);
        Await(a, PitTicks, 3);
        Note(a, 0x5d);
        Exit(a, Ended);
    }

    /// <summary>The log without the timers' ticks, which come as they come.</summary>
    private static string Events(X64BoardGuest guest) =>
        string.Concat(Convert.FromHexString(guest.ReadLog()).Where(e => e is not (Ticks or PitTicks)).Select(e => $"{e:x2}"));

    private static void Peek(Assembler a, uint address)
    {
        a.mov(ebx, address);
        a.mov(eax, __dword_ptr[rbx]);
        NoteAl(a);
    }
}
