using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>PMP (RV-Priv §3.7).</summary>
public sealed class ProtectionTests
{
    private const ulong Code = BareMachine.Ram + 0x1000, Data = BareMachine.Ram + 0x10_0000;
    private const byte R = 1, W = 2, X = 4, Tor = 1 << 3, Na4 = 2 << 3, Napot = 3 << 3, Locked = 0x80;

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Access_WithoutAnyEntry_IsForMachineModeOnly(string engine)
    {
        using var m = new BareMachine(engine, "nop");
        m.Write(Code, "ld a0, 0(a1)\necall");
        Assert.Equal(11UL, Run(m, PrivilegeMode.Machine, Data).Cause);
        Assert.Equal(1UL, Run(m, PrivilegeMode.Supervisor, Data).Cause);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Access_OfAPartlyProtectedPage_IsJudgedByTheByte(string engine)
    {
        using var m = new BareMachine(engine, "nop");
        m.Write(Code, "ld a0, 0(a1)\nsd a0, 0(a1)\nld a0, 0(a1)\necall");
        // 64 read-only bytes in the middle of a page, four closed ones behind, a closed range up to the page's end.
        Entry(m, 0, Data + 0x40 >> 2 | 7, Napot | R);
        Entry(m, 1, Data + 0x80 >> 2, Na4);
        Entry(m, 2, Data + 0xf00 >> 2, 0);
        Entry(m, 3, Data + 0x1000 >> 2, Tor);
        Entry(m, 15, ulong.MaxValue >> 10, Napot | R | W | X);
        foreach (PrivilegeMode mode in (ReadOnlySpan<PrivilegeMode>)[PrivilegeMode.User, PrivilegeMode.Supervisor])
        {
            ulong call = mode == PrivilegeMode.User ? 8UL : 9;
            Assert.Equal(call, Run(m, mode, Data).Cause);
            Assert.Equal(call, Run(m, mode, Data + 0x38).Cause);
            Assert.Equal((7UL, Data + 0x40), Run(m, mode, Data + 0x40));
            Assert.Equal((7UL, Data + 0x78), Run(m, mode, Data + 0x78));
            Assert.Equal((5UL, Data + 0x80), Run(m, mode, Data + 0x80));
            Assert.Equal(call, Run(m, mode, Data + 0x88).Cause);
            Assert.Equal(call, Run(m, mode, Data + 0xef8).Cause);
            Assert.Equal(5UL, Run(m, mode, Data + 0xf00).Cause);
            Assert.Equal(5UL, Run(m, mode, Data + 0xff8).Cause);
            Assert.Equal(call, Run(m, mode, Data + 0x1000).Cause);
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Access_OnlyPartlyInsideAnEntry_FailsInEveryMode(string engine)
    {
        using var m = new BareMachine(engine, "nop");
        m.Write(Code, "ld a0, 0(a1)\necall");
        Entry(m, 0, Data >> 2, Na4 | R | W);
        Entry(m, 1, ulong.MaxValue >> 10, Napot | R | W | X);
        Assert.Equal((5UL, Data), Run(m, PrivilegeMode.Machine, Data));
        Assert.Equal((5UL, Data), Run(m, PrivilegeMode.Supervisor, Data));
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void LockedEntry_BindsMachineModeAndStays(string engine)
    {
        using var m = new BareMachine(engine, "nop");
        m.Write(Code, "csrw pmpaddr0, zero\ncsrw pmpcfg0, zero\ncsrr a2, pmpaddr0\ncsrr a3, pmpcfg0\nld a0, 0(a1)\nsd a0, 0(a1)\necall");
        Entry(m, 0, Data >> 2 | 0x1ff, Napot | R | Locked);
        Assert.Equal((7UL, Data), Run(m, PrivilegeMode.Machine, Data));
        Assert.Equal((Data >> 2 | 0x1ff, (ulong)(Napot | R | Locked)), (m.State.X[12], m.State.X[13]));
        Assert.Equal(11UL, Run(m, PrivilegeMode.Machine, Data + 0x1000).Cause);
    }

    private static void Entry(BareMachine m, int index, ulong address, byte configuration)
    {
        RiscVState state = m.State;
        state.PmpAddress[index] = address;
        state.PmpConfiguration[index] = configuration;
        m.State = state;
    }

    private static (ulong Cause, ulong Value) Run(BareMachine m, PrivilegeMode mode, ulong address)
    {
        RiscVState state = m.RunIn(mode, Code, (ref RiscVState s) => s.X[11] = address);
        return (state.Mcause, state.Mtval);
    }
}
