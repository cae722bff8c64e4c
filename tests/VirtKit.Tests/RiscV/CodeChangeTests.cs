using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>Code that changes: what was decoded before must not run after a fence.i (RV-Unpriv §6).</summary>
public sealed class CodeChangeTests
{
    private static readonly uint AddTwo = BitConverter.ToUInt32(RiscVAssembler.Assemble("addi a0, a0, 2", 0));

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void FenceI_AfterAStoreToCode_RunsTheNewInstruction(string engine)
    {
        using var m = new BareMachine(engine, $"""
            li s0, 10
            loop: call patched
            addi s0, s0, -1
            bnez s0, loop
            la t0, patched
            li t1, {AddTwo}
            sw t1, 0(t0)
            fence.i
            call patched
            call patched
            wfi
            patched: addi a0, a0, 1
            ret
            """);
        Assert.Equal(14UL, m.RunToWait().X[10]);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void FenceI_AfterTheHostOrAnotherHartWroteCode_RunsTheNewInstruction(string engine)
    {
        using var m = new BareMachine(engine, $"""
            csrr t0, mhartid
            bnez t0, other
            again: call patched
            wfi
            fence.i
            j again
            other: la t0, patched
            li t1, {AddTwo}
            sw t1, 0(t0)
            wfi
            patched: addi a0, a0, 1
            ret
            """, vcpus: 2);
        RiscVState Again()
        {
            RiscVState state = m.State;
            state.Waiting = false;
            m.State = state;
            return m.RunToWait();
        }

        Assert.Equal(1UL, m.RunToWait().X[10]);
        m.Machine.Vcpus[1].Run(100);
        Assert.Equal(3UL, Again().X[10]);
        m.Write(m["patched"], "addi a0, a0, 100\nret");
        Assert.Equal(103UL, Again().X[10]);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Instruction_AcrossPages_IsFetchedFromBothAndFaultsAtItsSecondHalf(string engine)
    {
        const ulong First = BareMachine.Ram + 0x10_0000, Second = BareMachine.Ram + 0x20_0000 - 0x1000, Virtual = 0x4000_0000;
        using var m = new BareMachine(engine, "nop");
        var tables = new PageTables(m, 3);
        tables.Map(Virtual, First, PageTables.V | PageTables.R | PageTables.X | PageTables.A);
        RiscVState state = m.State;
        (state.PmpAddress[0], state.PmpConfiguration[0]) = (ulong.MaxValue >> 10, 0x1f);
        m.State = state;
        byte[] code = RiscVAssembler.Assemble("addi a0, a0, 5\necall", 0);
        m.Machine.Memory.Write(new Gpa(First + 0xffe), code.AsSpan(0, 2));
        m.Machine.Memory.Write(new Gpa(Second), code.AsSpan(2));
        RiscVState fault = m.RunIn(PrivilegeMode.Supervisor, Virtual + 0xffe, (ref RiscVState s) => s.Satp = tables.Satp);
        Assert.Equal((12UL, Virtual + 0xffe, Virtual + 0x1000), (fault.Mcause, fault.Mepc, fault.Mtval));
        tables.Map(Virtual + 0x1000, Second, PageTables.V | PageTables.R | PageTables.X | PageTables.A);
        RiscVState done = m.RunIn(PrivilegeMode.Supervisor, Virtual + 0xffe, (ref RiscVState s) => (s.Satp, s.X[10]) = (tables.Satp, 1));
        Assert.Equal((9UL, 6UL), (done.Mcause, done.X[10]));
    }

    /// <summary>Between a jump and the block that it goes to, the page becomes another one: the two may not be linked.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Remap_BetweenAJumpAndItsTarget_LeavesEachPageItsOwnCode(string engine)
    {
        const ulong First = BareMachine.Ram + 0x10_0000, Second = BareMachine.Ram + 0x11_0000, Virtual = 0x4000_0000;
        using var m = new BareMachine(engine, "nop");
        var tables = new PageTables(m, 3);
        m.Write(First, "addi a0, a0, 1\nj target\ntarget: addi a0, a0, 1\nstay: j stay");
        m.Write(Second, "addi a0, a0, 16\nj target\ntarget: addi a0, a0, 16\nstay: j stay");
        void Map(ulong page, ulong pc, ulong a0)
        {
            tables.Map(Virtual, page, PageTables.V | PageTables.R | PageTables.X | PageTables.A);
            RiscVState state = m.State;
            (state.PmpAddress[0], state.PmpConfiguration[0], state.Satp) = (ulong.MaxValue >> 10, 0x1f, tables.Satp);
            (state.Privilege, state.Pc, state.X[10]) = (PrivilegeMode.Supervisor, pc, a0);
            m.State = state;
        }

        Map(First, Virtual, 0);
        m.Vcpu.Run(2);
        Map(Second, m.State.Pc, m.State.X[10]);
        m.Vcpu.Run(2);
        Assert.Equal(17UL, m.State.X[10]);
        for (int i = 0; i < 3; i++)
        {
            Map(First, Virtual, 0);
            m.Vcpu.Run(4);
            Assert.Equal(2UL, m.State.X[10]);
        }
    }
}
