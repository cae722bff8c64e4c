using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>A guest whose trap handler cannot be fetched: the exit says what went wrong first, which its registers no longer show.</summary>
public sealed class EndlessTrapTests
{
    private const ulong Nowhere = 0x7000_0000_0010, Load = BareMachine.Ram + 8;

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Fault_WithoutAHandler_TellsTheFirstTrap(string engine)
    {
        using var m = new BareMachine(engine, "nop\nnop\nld a0, 0(a1)\nnop");
        Set(m, (ref RiscVState s) => s.X[11] = Nowhere);
        VcpuExit exit = m.Vcpu.Run();
        Assert.Equal((ExitReason.Fault, 1UL), (exit.Reason, exit.Code));
        Assert.Equal(new GuestTrap(5, new Gva(Load), Nowhere, "load access fault"), exit.FirstTrap);
        Assert.Contains("load access fault (cause 0x5) at 0x80000008, value 0x700000000010", exit.Detail, StringComparison.Ordinal);
        // The registers show the fetch of the handler.
        Assert.Equal((1UL, 0UL), (m.State.Mcause, m.State.Mepc));
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Fault_DelegatedToAHandlerThatIsNotMapped_TellsTheFirstTrap(string engine)
    {
        using var m = new BareMachine(engine, "nop\nnop\nsd a0, 0(a1)\nnop");
        var tables = new PageTables(m, 3);
        tables.Map(BareMachine.Ram, BareMachine.Ram, PageTables.All, level: 2);
        Set(m, (ref RiscVState s) =>
        {
            (s.PmpAddress[0], s.PmpConfiguration[0], s.Satp, s.Privilege) = (ulong.MaxValue >> 10, 0x1f, tables.Satp, PrivilegeMode.Supervisor);
            (s.Medeleg, s.Stvec, s.X[11]) = (0xb3ff, 0x1000, 0x2000);
        });
        VcpuExit exit = m.Vcpu.Run();
        Assert.Equal((ExitReason.Fault, new GuestTrap(15, new Gva(Load), 0x2000, "store or AMO page fault")), (exit.Reason, exit.FirstTrap));
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Interrupt_WithoutAHandler_IsTheFirstTrap(string engine)
    {
        using var m = new BareMachine(engine, "nop\nnop\nloop: j loop");
        Set(m, (ref RiscVState s) => (s.Mie, s.Mstatus) = (1 << 11, s.Mstatus | 1 << 3));
        Assert.Equal(ExitReason.BudgetExhausted, m.Vcpu.Run(100).Reason);
        m.Vcpu.Pin(11).Set(true);
        VcpuExit exit = m.Vcpu.Run();
        Assert.Equal((ExitReason.Fault, new GuestTrap(1UL << 63 | 11, new Gva(Load), 0, "machine external interrupt")), (exit.Reason, exit.FirstTrap));
    }

    /// <summary>The host may mend what is wrong, and the guest goes on.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Run_AfterTheHandlerWasMapped_GoesOn(string engine)
    {
        using var m = new BareMachine(engine, "nop\nnop\n.word 0\nnop");
        VcpuExit exit = m.Vcpu.Run(1_000_000);
        Assert.Equal((ExitReason.Fault, new GuestTrap(2, new Gva(Load), 0, "illegal instruction")), (exit.Reason, exit.FirstTrap));
        m.Machine.Memory.MapRam(new Gpa(0), 0x1000);
        m.Write(0, "addi a0, a0, 1\nwfi\nwfi");
        Assert.Equal(1UL, m.RunToWait().X[10]);
    }

    private static void Set(BareMachine m, BareMachine.StateChange change)
    {
        RiscVState state = m.State;
        change(ref state);
        m.State = state;
    }
}
