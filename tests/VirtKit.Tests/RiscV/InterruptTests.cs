using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

public sealed class InterruptTests
{
    private const ulong Interrupt = 1UL << 63, Stce = 1UL << 63, Mie = 8, All = 0xaaa;

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Pending_ManyAtOnce_AreTakenInTheOrderOfTheSpecification(string engine)
    {
        using var m = new BareMachine(engine, "l: j l");
        foreach (int pin in (ReadOnlySpan<int>)[3, 7, 9, 11])
            m.Vcpu.Pin(pin).Set(true);
        var taken = new List<ulong>();
        for (ulong enabled = All; enabled != 0; enabled &= ~(1UL << (int)(taken[^1] & 63)))
        {
            RiscVState state = m.RunIn(PrivilegeMode.User, BareMachine.Ram, (ref RiscVState s) => (s.Mie, s.Mip) = (enabled, 0x22), ExitReason.BudgetExhausted);
            taken.Add(state.Mcause & ~Interrupt);
        }

        Assert.Equal([11UL, 3, 7, 9, 1, 5], taken);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Delegated_ByModeAndEnableBits_GoesWhereItShould(string engine)
    {
        using var m = new BareMachine(engine, "l: j l\nnop\ns: j s");
        m.Vcpu.Pin(9).Set(true);
        // Not in M even with MIE, not in S without SIE, always in U.
        foreach ((PrivilegeMode mode, ulong status, bool taken) in (ReadOnlySpan<(PrivilegeMode, ulong, bool)>)
            [(PrivilegeMode.Machine, Mie, false), (PrivilegeMode.Supervisor, 0, false), (PrivilegeMode.Supervisor, 2, true), (PrivilegeMode.User, 0, true)])
        {
            RiscVState state = m.RunIn(mode, BareMachine.Ram, (ref RiscVState s) =>
            {
                (s.Mie, s.Mideleg, s.Mstatus, s.Stvec, s.Scause) = (All, 0x222, status, m["s"], 0);
                (s.PmpAddress[0], s.PmpConfiguration[0]) = (ulong.MaxValue >> 10, 0x1f);
            }, ExitReason.BudgetExhausted);
            Assert.Equal(taken ? (Interrupt | 9, m["s"]) : (0, BareMachine.Ram), (state.Scause, state.Pc));
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Stimecmp_WithStce_OwnsThePendingBit(string engine)
    {
        using var m = new BareMachine(engine, $"""
            li t0, 0x20
            csrw mip, t0
            csrr a0, mip
            li t1, {Stce}
            csrw menvcfg, t1
            csrr a1, mip
            csrw stimecmp, zero
            csrr a2, mip
            csrc mip, t0
            csrr a3, mip
            li t2, -1
            csrw stimecmp, t2
            csrr a4, mip
            csrw menvcfg, zero
            csrr a5, mip
            wfi
            """);
        RiscVState s = m.RunToWait();
        Assert.Equal("32 0 32 32 0 0", Arguments(s));
    }

    [Fact]
    public void TailCalls_InThisBuild_AreJumps() => Assert.True(TailCallProbe.TailCallsWork());

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Counters_OfAShortRun_CountWhatHappened(string engine)
    {
        using var m = new BareMachine(engine, "la t0, h\ncsrw mtvec, t0\nld t1, 0(t0)\nld t1, 8(t0)\nli t2, 0x1000\nlw t3, 0(t2)\necall\nh: wfi");
        m.Machine.Memory.Map(new Gpa(0x1000), new FakeDevice { Window = new("device", 0x1000) });
        m.RunToWait();
        Engines.VcpuCounters counters = m.Vcpu.Counters;
        Assert.Equal((9UL, 1UL, 1UL, 1UL), (counters.Retired, counters.Exits, counters.MmioAccesses, counters.Traps));
        Assert.InRange(counters.TlbMisses, 2UL, 6UL);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void StoreConditional_AfterWhatBreaksIt_Fails(string engine)
    {
        using var m = new BareMachine(engine, """
            la t0, data
            sc.w a0, t0, (t0)
            lr.w t1, (t0)
            sc.w a1, t0, (t0)
            sc.w a2, t0, (t0)
            lr.d t1, (t0)
            addi t2, t0, 8
            sc.d a3, t0, (t2)
            sc.d a4, t0, (t0)
            lr.d t1, (t0)
            addi t1, t1, 1
            sd t1, 0(t0)
            sc.d a5, t0, (t0)
            wfi
            .align 8
            data: .zero 16
            """);
        RiscVState s = m.RunToWait();
        Assert.Equal("1 0 1 1 1 1", Arguments(s));
    }

    private static string Arguments(in RiscVState s) => string.Join(' ', s.X[10], s.X[11], s.X[12], s.X[13], s.X[14], s.X[15]);
}
