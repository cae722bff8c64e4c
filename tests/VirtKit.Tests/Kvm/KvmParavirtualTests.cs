using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>KVM's paravirtual features, used by guests as Linux uses them.</summary>
public sealed class KvmParavirtualTests
{
    private const uint ClockMsr = 0x4b56_4d01, StealTimeMsr = 0x4b56_4d03, EoiMsr = 0x4b56_4d04;
    private const int Page = 0x9000;
    private const byte Call = 0xe8;
    private const ulong Second = 1_000_000_000;

    [Fact]
    public void Clock_EnabledByTheGuest_AdvancesWithTheHostsAndIsSetByIt()
    {
        using X64Guest guest = Create("kvmclock2", ReadClocks);
        var partition = (KvmPartition)guest.Machine.Partition;
        ulong before = partition.ParavirtualClock, first = Read(guest), second = Read(guest), after = partition.ParavirtualClock;
        Assert.True(before <= first && first < second && second <= after, $"{before} <= {first} < {second} <= {after}");

        partition.ParavirtualClock = 5_000_000 * Second;
        Assert.InRange(Read(guest), 5_000_000 * Second, 5_000_060 * Second);
    }

    [Fact]
    public void Clock_StateOfAnotherMachine_GoesOn()
    {
        X64State state;
        ulong clock, seen;
        using (X64Guest first = Create("kvmclock2", ReadClocks))
        {
            ((KvmPartition)first.Machine.Partition).ParavirtualClock = 7_000 * Second;
            seen = Read(first);
            state = first.Vcpu.GetState<X64State>();
            clock = ((KvmPartition)first.Machine.Partition).ParavirtualClock;
        }

        Assert.Equal((ulong)Page | 1, state.FindMsr(ClockMsr));
        using X64Guest second = Create("kvmclock2", ReadClocks);
        second.Vcpu.SetState(in state);
        ((KvmPartition)second.Machine.Partition).ParavirtualClock = clock;
        Assert.InRange(Read(second), seen, 7_060 * Second);
    }

    [Fact]
    public void StealTime_EnabledByTheGuest_IsKeptUpInItsMemory()
    {
        using X64Guest guest = Create("kvm_steal_time", a =>
        {
            Label again = a.CreateLabel();
            Enable(a, StealTimeMsr);
            a.Label(ref again);
            a.@out(Call, al);
            a.jmp(again);
        });
        (ulong steal, uint version) = (0, 0);
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(ExitReason.Hypercall, guest.Run().Reason);
            Assert.True(guest.Machine.Memory.TryRead(new Gpa(Page), out ulong nextSteal));
            Assert.True(guest.Machine.Memory.TryRead(new Gpa(Page + 8), out uint nextVersion));
            Assert.True(nextSteal >= steal && nextVersion >= version && nextVersion % 2 == 0, $"{steal} ns, version {version}; then {nextSteal} ns, version {nextVersion}");
            (steal, version) = (nextSteal, nextVersion);
            Thread.Yield();
        }

        // The kernel counts on its versions where it writes: 0 would be a page that nobody keeps.
        Assert.NotEqual(0u, version);
        Assert.Equal((ulong)Page | 1, guest.Vcpu.GetState<X64State>().FindMsr(StealTimeMsr));
    }

    [Fact]
    public void EndOfInterrupt_InMemory_LetsTheNextInterruptCome()
    {
        const int rounds = 5, idt = 0x6000, handler = 0x2000;
        var options = new KvmOptions { InterruptController = KvmInterruptController.Kernel };
        using X64Guest guest = Create("kvm_pv_eoi", a =>
        {
            Label wait = a.CreateLabel();
            a.mov(__dword_ptr[0xfee0_00f0], 0x1ff); // the local APIC on
            Enable(a, EoiMsr);
            a.lidt(__[0x5ff0]);
            a.xor(ebx, ebx);
            a.xor(esi, esi);
            a.sti();
            a.mov(__dword_ptr[0xfee0_0300], 0x4_0040); // vector 0x40 to itself
            a.Label(ref wait);
            a.jmp(wait);
        }, 32, options);
        AddressSpace memory = guest.Machine.Memory;
        memory.Write(new Gpa(0x5ff0), [0x0f, 0x02, 0, idt >> 8, 0, 0]);
        memory.Write(new Gpa(idt + (0x40 * 8)), [0, handler >> 8, 8, 0, 0, 0x8e, 0, 0]);
        memory.Write(new Gpa(handler), X64Guest.Assemble(32, a =>
        {
            Label told = a.CreateLabel(), ended = a.CreateLabel(), wait = a.CreateLabel(), done = a.CreateLabel();
            a.inc(ebx);
            // The bit is the kernel's word that taking it back is enough.
            a.btr(__dword_ptr[Page], 0);
            a.jc(told);
            a.mov(__dword_ptr[0xfee0_00b0], 0);
            a.jmp(ended);
            a.Label(ref told);
            a.inc(esi);
            a.Label(ref ended);
            a.cmp(ebx, rounds);
            a.je(done);
            // The next comes in here: IRET in protected mode is none of the instructions that a kernel emulates.
            a.mov(esp, (int)X64Guest.Stack);
            a.sti();
            a.mov(__dword_ptr[0xfee0_0300], 0x4_0040);
            a.Label(ref wait);
            a.jmp(wait);
            a.Label(ref done);
            a.@out(Call, al);
        }, handler));
        VcpuExit exit = guest.Run();
        Assert.True(exit.Reason == ExitReason.Hypercall, $"{exit}");
        Assert.Equal((ulong)rounds, guest.Registers.Rbx);
        // Where the processor virtualizes the APIC itself (APICv, AVIC), and where the kernel emulates ring 0, no handler finds the bit set.
        TestContext.Current.TestOutputHelper?.WriteLine($"{guest.Registers.Rsi} of {rounds} ends of interrupt through memory");
        X64State state = guest.Vcpu.GetState<X64State>();
        Assert.Equal((ulong)Page | 1, state.FindMsr(EoiMsr));
        // What is in service is in the local APIC's state: nothing may be left.
        Assert.Equal(0, state.Lapic[0x120] & 1);
    }

    [Theory, InlineData("kvmclock2", ClockMsr, false), InlineData("kvm_steal_time", StealTimeMsr, false), InlineData("kvm_pv_eoi", EoiMsr, true)]
    public void Feature_HiddenByThePolicy_HasNoRegister(string feature, uint msr, bool kernelController)
    {
        Require.Kvm();
        var options = new KvmOptions { InterruptController = kernelController ? KvmInterruptController.Kernel : KvmInterruptController.External };
        CpuidPolicy hidden = CpuidPolicy.Host.Hide(feature);
        foreach ((CpuidPolicy policy, ExitReason expected) in new[] { (CpuidPolicy.Host, ExitReason.Hypercall), (hidden, ExitReason.Fault) })
        {
            using X64Guest guest = Create(feature, a =>
            {
                Enable(a, msr);
                a.@out(Call, al);
            }, 64, options, policy);
            X64State state = guest.Vcpu.GetState<X64State>();
            state.Idtr = default; // a #GP ends in a triple fault
            guest.Vcpu.SetState(in state);
            Assert.Equal(expected, guest.Run().Reason);
            if (policy == hidden)
                Assert.Contains(((KvmPartition)guest.Machine.Partition).Cpuid[0].Audit, l => l.Feature == feature && l is { Guest: 0, Reason: "hidden by name" });
        }
    }

    [Fact]
    public void Audit_FeatureThatNeedsTheKernelsApic_IsWithheldWithItsReason()
    {
        using var guest = new X64Guest();
        CpuidTable table = ((KvmPartition)guest.Machine.Partition).Cpuid[0];
        using var other = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel });
        CpuidTable kernels = ((KvmPartition)other.Machine.Partition).Cpuid[0];
        foreach (string feature in (ReadOnlySpan<string>)["kvm_pv_eoi", "kvm_pv_unhalt", "x2apic"])
        {
            Assert.SkipUnless(kernels.Has(feature), $"This kernel's KVM has no {feature}.");
            if (!table.Has(feature)) // a nested host may show what nobody can hide
                Assert.Contains(table.Audit, l => l.Feature == feature && l.Reason.StartsWith("withheld", StringComparison.Ordinal));
        }

        Assert.False(table.Has("kvm_pv_eoi"));
    }

    private static X64Guest Create(string feature, Action<Assembler> write, int bits = 64, KvmOptions? options = null, CpuidPolicy? policy = null)
    {
        Require.Kvm();
        Assert.SkipUnless(CpuidPolicy.Host.Build(new KvmEngine(options).ReadHostCpuid(), 0, 1).Has(feature), $"This kernel's KVM has no {feature}.");
        return new X64Guest(new X64Architecture { HypercallPort = Call, Cpuid = policy ?? CpuidPolicy.Host }, options).Load(bits, write);
    }

    /// <summary>Tells the kernel where the page of a feature is.</summary>
    private static void Enable(Assembler a, uint msr)
    {
        a.mov(ecx, msr);
        a.mov(eax, Page | 1);
        a.xor(edx, edx);
        a.wrmsr();
    }

    private static ulong Read(X64Guest guest)
    {
        Assert.Equal(ExitReason.Hypercall, guest.Run().Reason);
        return guest.Registers.Rax;
    }

    /// <summary>Reads the clock as Linux does (Documentation/virt/kvm/x86/msr.rst), over and over.</summary>
    private static void ReadClocks(Assembler a)
    {
        Label again = a.CreateLabel(), right = a.CreateLabel(), scale = a.CreateLabel();
        Enable(a, ClockMsr);
        a.mov(ebx, Page);
        a.Label(ref again);
        a.mov(r8d, __dword_ptr[rbx]);
        a.test(r8d, 1);
        a.jne(again);
        a.rdtsc();
        a.shl(rdx, 32);
        a.or(rax, rdx);
        a.sub(rax, __qword_ptr[rbx + 8]);
        a.movsx(ecx, __byte_ptr[rbx + 28]);
        a.test(ecx, ecx);
        a.js(right);
        a.shl(rax, cl);
        a.jmp(scale);
        a.Label(ref right);
        a.neg(ecx);
        a.shr(rax, cl);
        a.Label(ref scale);
        a.mov(edx, __dword_ptr[rbx + 24]);
        a.mul(rdx);
        a.shrd(rax, rdx, 32);
        a.add(rax, __qword_ptr[rbx + 16]);
        a.cmp(r8d, __dword_ptr[rbx]);
        a.jne(again);
        a.@out(Call, al);
        a.jmp(again);
    }
}
