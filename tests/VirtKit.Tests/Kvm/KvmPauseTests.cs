using System.Diagnostics;
using Iced.Intel;
using VirtKit.Accel.Kvm;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>What a guest of KVM sees of the time in which its machine stands, and of a processor that nothing can wake.</summary>
public sealed class KvmPauseTests
{
    private const byte Call = 0xe8;
    private const int Page = 0x9000;

    [Theory, InlineData(StoppedTime.Held, 1), InlineData(StoppedTime.Held, 2), InlineData(StoppedTime.RunsOn, 1)]
    public void Counter_OverAPause_IsHeldWhereTheMachinesTimeIs(StoppedTime policy, int vcpus)
    {
        using Machine machine = Create(policy, vcpus, a =>
        {
            a.rdtsc();
            a.shl(rdx, 32);
            a.or(rax, rdx);
        });
        // A counter that nobody can set back runs on.
        StoppedTime seen = CounterMoves(machine.Vcpus[0]) ? policy : StoppedTime.RunsOn;
        double frequency = Frequency(machine);
        (double guest, double ran, double all) = Pause(machine, () => machine.Vcpus[^1].GetState<X64Registers>().Rax / frequency);
        AssertSeen(seen, guest, ran, all);
    }

    [Theory, InlineData(StoppedTime.Held), InlineData(StoppedTime.RunsOn)]
    public void ParavirtualClock_OverAPause_IsHeldWhereTheMachinesTimeIs(StoppedTime policy)
    {
        Require.Kvm();
        Assert.SkipUnless(CpuidPolicy.Host.Build(new KvmEngine().ReadHostCpuid(), 0, 1).Has("kvmclock2"), "This kernel's KVM has no kvmclock2.");
        using Machine machine = Create(policy, 1, a =>
        {
            a.mov(ecx, 0x4b56_4d01);
            a.mov(eax, Page | 1);
            a.xor(edx, edx);
            a.wrmsr();
        });
        var partition = (KvmPartition)machine.Partition;
        (double guest, double ran, double all) = Pause(machine, () => partition.ParavirtualClock / 1e9);
        AssertSeen(policy, guest, ran, all);
        // Bit 1 of the flags is the kernel's word to the guest's watchdogs (KVM_KVMCLOCK_CTRL); a later write of the page may have taken it back.
        Assert.True(machine.Memory.TryRead(new Gpa(Page + 29), out byte flags));
        TestContext.Current.TestOutputHelper?.WriteLine($"flags of the clock's page: {flags}");
    }

    [Fact]
    public void StateThatIsSetInThePause_CountsFromThen()
    {
        using Machine machine = Create(StoppedTime.Held, 1, a =>
        {
            a.rdtsc();
            a.shl(rdx, 32);
            a.or(rax, rdx);
        });
        double frequency = Frequency(machine);
        Run(machine);
        Thread.Sleep(300);
        X64State state = machine.Vcpus[0].GetState<X64State>();
        ulong? set = state.FindMsr(0x10);
        machine.Vcpus[0].SetState(in state);
        Run(machine);
        ulong seen = machine.Vcpus[0].GetState<X64Registers>().Rax;
        Assert.True(seen >= set - 0.1 * frequency, $"set to {set}, then {seen}");
    }

    [Fact]
    public void Run_ProcessorHaltedWithInterruptsOff_EndsAndNamesIt()
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            a.cli();
            a.hlt();
        });
        VcpuExit exit = guest.Machine.Run(TestContext.Current.CancellationToken);
        Assert.Equal(ExitReason.Halted, exit.Reason);
        Assert.Equal("vCPU 0 is halted with interrupts off (HLT while RFLAGS.IF is 0).", exit.Detail);
    }

    [Fact]
    public async Task Run_ProcessorHaltedWithInterruptsOn_WaitsForTheHost()
    {
        using var guest = new X64Guest();
        guest.Load(64, a =>
        {
            a.sti();
            a.hlt();
        });
        Task<VcpuExit> run = guest.Machine.RunAsync(TestContext.Current.CancellationToken);
        while (guest.Vcpu.Counters.Exits == 0)
            await Task.Delay(1, TestContext.Current.CancellationToken);
        await Task.Delay(20, TestContext.Current.CancellationToken);
        Assert.False(run.IsCompleted);
        guest.Machine.RequestShutdown(2);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 2), await run.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
    }

    /// <summary>A machine whose vCPUs run some code and end in a hypercall, over and over.</summary>
    private static Machine Create(StoppedTime policy, int vcpus, Action<Assembler> write)
    {
        Require.Kvm();
        var machine = new Machine(new MachineOptions
        {
            Architecture = new X64Architecture { HypercallPort = Call, Cpuid = CpuidPolicy.Host }, Engine = new KvmEngine(), Scheduling = VcpuScheduling.Threads, VcpuCount = vcpus, StoppedTime = policy,
        });
        machine.Memory.MapRam(new Gpa(0), X64Guest.RamSize);
        machine.Memory.Write(new Gpa(X64Guest.Code), X64Guest.Assemble(64, a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            write(a);
            a.@out(Call, al);
            a.jmp(again);
        }));
        foreach (Vcpu vcpu in machine.Vcpus)
        {
            X64State state = vcpu.GetState<X64State>();
            X64Guest.Enter(machine.Memory, ref state, 64);
            state.Activity = X64Activity.Running;
            vcpu.SetState(in state);
        }

        return machine;
    }

    /// <summary>Where KVM itself is nested in software, a guest's counter may be the host's, and what is set is ignored.</summary>
    private static bool CounterMoves(Vcpu vcpu)
    {
        X64State state = vcpu.GetState<X64State>();
        ulong before = state.FindMsr(0x10) ?? 0;
        for (int i = 0; i < state.MsrCount; i++)
        {
            if (state.Msrs[i].Index == 0x10)
                state.Msrs[i] = new X64Msr(0x10, before + (1UL << 50));
        }

        vcpu.SetState(in state);
        bool moves = vcpu.GetState<X64State>().FindMsr(0x10) - before >= 1UL << 50;
        TestContext.Current.TestOutputHelper?.WriteLine($"this host's KVM moves a guest's time-stamp counter: {moves}");
        return moves;
    }

    /// <summary>Ticks of the guest's counter a second, as the guest sees them.</summary>
    private static double Frequency(Machine machine)
    {
        Run(machine);
        ulong first = machine.Vcpus[^1].GetState<X64Registers>().Rax;
        long start = Stopwatch.GetTimestamp();
        // In steps too short to be held.
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromMilliseconds(100))
            Run(machine);
        return (machine.Vcpus[^1].GetState<X64Registers>().Rax - first) / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Runs, stands and runs again.</summary>
    /// <returns>In seconds: what the guest saw go by, what the host did from the first run's start to the second one's end without the pause, and with it.</returns>
    private static (double Guest, double Ran, double All) Pause(Machine machine, Func<double> read)
    {
        long start = Stopwatch.GetTimestamp();
        Run(machine);
        double before = read();
        long stopped = Stopwatch.GetTimestamp();
        Thread.Sleep(700);
        double pause = Stopwatch.GetElapsedTime(stopped).TotalSeconds;
        Run(machine);
        double guest = read() - before;
        double all = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return (guest, all - pause, all);
    }

    private static void AssertSeen(StoppedTime policy, double guest, double ran, double all)
    {
        // The two do not overlap: the pause is much longer than what a frequency may be off, or what passes between a stop and a look at a clock by the host.
        if (policy == StoppedTime.Held)
            Assert.True(guest >= -0.35 && guest <= ran + 0.35, $"the guest saw {guest} s, the machine ran {ran} s of {all}");
        else
            Assert.True(guest >= 0.35, $"the guest saw {guest} s, the machine ran {ran} s of {all}");
    }

    private static void Run(Machine machine)
    {
        for (int i = 0; i < machine.Vcpus.Count; i++)
            Assert.Equal(ExitReason.Hypercall, machine.Vcpus[i].Run(cancellationToken: TestContext.Current.CancellationToken).Reason);
    }
}
