using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

/// <summary>A machine that nothing can wake says so instead of waiting in silence.</summary>
public sealed class HaltedTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static TheoryData<string, VcpuScheduling> Cases => [.. from engine in RiscVEngines.All from scheduling in Enum.GetValues<VcpuScheduling>() select (engine, scheduling)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_HartThatWaitsWithEverySourceOff_EndsAndNamesIt(string engine, VcpuScheduling scheduling)
    {
        using var guest = new BareMachine(engine, "nop\nwfi\nnop", scheduling: scheduling);
        for (int i = 0; i < 2; i++)
        {
            VcpuExit exit = guest.Machine.Run(TestContext.Current.CancellationToken);
            Assert.Equal(ExitReason.Halted, exit.Reason);
            Assert.Equal("vCPU 0 waits for an interrupt at 0x80000008 with every source off (mie is 0).", exit.Detail);
            Assert.Equal(2UL, guest.Vcpu.Counters.Retired);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_HartsThatAreAllStopped_EndsAndNamesThem(string engine, VcpuScheduling scheduling)
    {
        using var guest = new BareMachine(engine, "li a7, 0x48534d\nli a6, 1\necall", vcpus: 3, sbi: new SbiOptions(), scheduling: scheduling);
        VcpuExit exit = guest.Machine.Run(TestContext.Current.CancellationToken);
        Assert.Equal(ExitReason.Halted, exit.Reason);
        Assert.Equal("vCPU 0 is stopped (SBI hart_stop). vCPU 1 is stopped (SBI hart_stop). vCPU 2 is stopped (SBI hart_stop).", exit.Detail);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Run_HartThatWaitsForTheHostsInput_WaitsForIt(string engine, VcpuScheduling scheduling)
    {
        // The other hart is beyond help; this one is not.
        using var guest = new BareMachine(engine, """
            csrr t0, mhartid
            bnez t0, off
            li t0, 0x800
            csrw mie, t0
            off: wfi
            li t1, 0x1000
            sw zero, 0(t1)
            """, vcpus: 2, scheduling: scheduling);
        guest.Machine.Memory.Map(new Gpa(0x1000), new FakeDevice { Window = new("end", 0x1000), OnWrite = (_, _, _) => guest.Machine.RequestShutdown(3) });
        Task<VcpuExit> run = guest.Machine.RunAsync(TestContext.Current.CancellationToken);
        while (guest.Machine.Vcpus.Any(vcpu => vcpu.Counters.Retired == 0))
            await Task.Delay(1, TestContext.Current.CancellationToken);
        await Task.Delay(20, TestContext.Current.CancellationToken);
        Assert.False(run.IsCompleted);
        guest.Machine.Clock.Post(new object(), () => guest.Vcpu.Pin(11).Set(true));
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 3), await run.WaitAsync(Limit, TestContext.Current.CancellationToken));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Run_WhereTheHostWantsToWait_GoesOnUntilItStopsIt(string engine, VcpuScheduling scheduling)
    {
        using var machine = new Machine(new MachineOptions
        {
            Architecture = new RiscVArchitecture(), Engine = RiscVEngines.Create(engine), Scheduling = scheduling, WhenHalted = HaltPolicy.Wait, VcpuCount = 2,
        });
        machine.Memory.MapRam(new Gpa(BareMachine.Ram), 0x1000);
        machine.Memory.Write(new Gpa(BareMachine.Ram), RiscVAssembler.Assemble("wfi", BareMachine.Ram));
        foreach (Vcpu vcpu in machine.Vcpus)
            vcpu.SetState(vcpu.GetState<RiscVState>() with { Pc = BareMachine.Ram });
        // A watchdog: a timer of a device that ends the wait.
        using ClockTimer watchdog = machine.Clock.CreateTimer(new object(), () => machine.RequestReset());
        watchdog.Set(30_000_000);
        Assert.Equal(ExitReason.Reset, (await machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Limit, TestContext.Current.CancellationToken)).Reason);
        Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
        await Task.Delay(20, TestContext.Current.CancellationToken);
        Assert.False(run.IsCompleted);
        machine.RequestShutdown(1);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 1), await run.WaitAsync(Limit, TestContext.Current.CancellationToken));
    }
}
