using System.Reflection;
using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.Checking;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>A state may come from a snapshot that somebody has changed: whatever its bytes are, registers hold only what a guest's own writes could leave in them.</summary>
public sealed class SetStateTests
{
    /// <summary>The registers that a guest can write, and where each stands in the state. What bits they hold is asked of the guest's own CSR instructions.</summary>
    private static readonly (string Csr, Func<RiscVState, ulong> Get, BareMachine.StateChange<ulong> Set)[] Registers =
    [
        ("fcsr", s => s.Fcsr, (ref RiscVState s, ulong v) => s.Fcsr = v),
        ("mtvec", s => s.Mtvec, (ref RiscVState s, ulong v) => s.Mtvec = v),
        ("stvec", s => s.Stvec, (ref RiscVState s, ulong v) => s.Stvec = v),
        ("medeleg", s => s.Medeleg, (ref RiscVState s, ulong v) => s.Medeleg = v),
        ("mideleg", s => s.Mideleg, (ref RiscVState s, ulong v) => s.Mideleg = v),
        ("mie", s => s.Mie, (ref RiscVState s, ulong v) => s.Mie = v),
        ("mip", s => s.Mip, (ref RiscVState s, ulong v) => s.Mip = v),
        ("mcounteren", s => s.Mcounteren, (ref RiscVState s, ulong v) => s.Mcounteren = v),
        ("scounteren", s => s.Scounteren, (ref RiscVState s, ulong v) => s.Scounteren = v),
        ("mcountinhibit", s => s.Mcountinhibit, (ref RiscVState s, ulong v) => s.Mcountinhibit = v),
        ("menvcfg", s => s.Menvcfg, (ref RiscVState s, ulong v) => s.Menvcfg = v),
        ("senvcfg", s => s.Senvcfg, (ref RiscVState s, ulong v) => s.Senvcfg = v),
        ("mscratch", s => s.Mscratch, (ref RiscVState s, ulong v) => s.Mscratch = v),
        ("sscratch", s => s.Sscratch, (ref RiscVState s, ulong v) => s.Sscratch = v),
        ("mepc", s => s.Mepc, (ref RiscVState s, ulong v) => s.Mepc = v),
        ("sepc", s => s.Sepc, (ref RiscVState s, ulong v) => s.Sepc = v),
        ("mcause", s => s.Mcause, (ref RiscVState s, ulong v) => s.Mcause = v),
        ("scause", s => s.Scause, (ref RiscVState s, ulong v) => s.Scause = v),
        ("mtval", s => s.Mtval, (ref RiscVState s, ulong v) => s.Mtval = v),
        ("stval", s => s.Stval, (ref RiscVState s, ulong v) => s.Stval = v),
        ("satp", s => s.Satp, (ref RiscVState s, ulong v) => s.Satp = v),
        ("stimecmp", s => s.Stimecmp, (ref RiscVState s, ulong v) => s.Stimecmp = v),
        ("pmpaddr0", s => s.PmpAddress[0], (ref RiscVState s, ulong v) => s.PmpAddress[0] = v),
        ("pmpaddr15", s => s.PmpAddress[15], (ref RiscVState s, ulong v) => s.PmpAddress[15] = v),
        ("pmpcfg0", s => MemoryMarshal.Read<ulong>((ReadOnlySpan<byte>)s.PmpConfiguration), (ref RiscVState s, ulong v) => MemoryMarshal.Write((Span<byte>)s.PmpConfiguration, v)),
        ("mstatus", s => s.Mstatus, (ref RiscVState s, ulong v) => s.Mstatus = v),
    ];

    private static readonly ulong[] Values = [0, ulong.MaxValue, 0xaaaa_aaaa_aaaa_aaaa, 0x5555_5555_5555_5555, 2UL << 11, 1UL << 60, 8UL << 60 | 0x80200, 0x20, 0xa200_0202];

    public static TheoryData<string> Csrs => [.. Registers.Select(r => r.Csr)];

    [Theory]
    [MemberData(nameof(Csrs))]
    public void SetState_AnyValueOfARegister_IsWhatTheGuestsWriteLeaves(string csr)
    {
        (_, Func<RiscVState, ulong> get, BareMachine.StateChange<ulong> set) = Registers.Single(r => r.Csr == csr);
        foreach (ulong value in Values)
        {
            using var written = new BareMachine("interpreter-loop", $"csrw {csr}, a1\nwfi\nwfi");
            RiscVState state = written.State;
            state.X[11] = value;
            // Floating-point registers are there, as fcsr needs.
            state.Mstatus |= csr == "fcsr" ? 3UL << 13 : 0;
            written.State = state;
            ulong expected = get(written.RunToWait());

            using var given = new BareMachine("interpreter-loop", "nop");
            state = given.State;
            set(ref state, value);
            given.State = state;
            Assert.Equal((csr, value, expected), (csr, value, get(given.State)));
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void SetState_BytesThatAreNoPrivilegeMode_AreRefusedByName(string engine)
    {
        using var m = new BareMachine(engine, "addi a0, a0, 1\nwfi\nwfi");
        RiscVState before = m.State;
        foreach (int mode in Enumerable.Range(0, 256).Except([0, 1, 3]))
        {
            RiscVState state = before;
            (state.Privilege, state.X[10]) = ((PrivilegeMode)mode, 77);
            ArgumentException error = Assert.Throws<ArgumentOutOfRangeException>(() => m.State = state);
            Assert.Contains(nameof(RiscVState.Privilege), error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(StateText.Of(before), StateText.Of(m.State));
        Assert.Equal(1UL, m.RunToWait().X[10]);
    }

    /// <summary>Any bytes at all, and some instructions from there; so many states, or for <see cref="Soak.Time"/>.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void SetState_RandomBytes_AreAStateThatRuns(string engine)
    {
        Random random = Seed.Random();
        using var m = new BareMachine(engine, "nop", vcpus: 2);
        var memory = new byte[BareMachine.Size];
        random.NextBytes(memory);
        m.Machine.Memory.Write(new Gpa(BareMachine.Ram), memory);
        Func<ulong, bool> goesOn = Soak.While(cases => cases < 400);
        for (ulong cases = 0; goesOn(cases); cases++)
        {
            Vcpu vcpu = m.Machine.Vcpus[(int)(cases % 2)];
            RiscVState state = RandomState(random);
            if (state.Privilege is PrivilegeMode.User or PrivilegeMode.Supervisor or PrivilegeMode.Machine)
                vcpu.SetState(state);
            else
                Assert.Throws<ArgumentOutOfRangeException>(() => vcpu.SetState(state));
            // What is held is a state like any other: nothing of it changes when it is set again.
            RiscVState held = vcpu.GetState<RiscVState>();
            vcpu.SetState(held);
            Assert.Null(StateText.Difference(held, vcpu.GetState<RiscVState>()));
            VcpuExit exit = vcpu.Run(200);
            Assert.True(exit.Reason is ExitReason.BudgetExhausted or ExitReason.Halted or ExitReason.Fault, exit.ToString());
        }
    }

    /// <summary>Mostly states that can run: random bits in any field lead nowhere if the first fetch fails.</summary>
    private static RiscVState RandomState(Random random)
    {
        RiscVState state = default;
        random.NextBytes(MemoryMarshal.AsBytes(new Span<RiscVState>(ref state)));
        if (random.Next(8) != 0)
            state.Privilege = (PrivilegeMode)(random.Next(3) is var mode and < 2 ? mode : 3);
        if (random.Next(4) != 0)
            state.Started = true;
        if (random.Next(4) != 0)
            state.Waiting = false;
        if (random.Next(4) != 0)
            state.Pc = BareMachine.Ram + (ulong)random.NextInt64((long)BareMachine.Size);
        if (random.Next(4) != 0)
            state.Satp = random.Next(4) == 0 ? (ulong)random.Next(8, 11) << 60 | BareMachine.Ram + 0x1000 >> 12 : 0;
        if (random.Next(2) != 0)
            (state.PmpAddress[0], state.PmpConfiguration[0]) = (ulong.MaxValue, 0x1f);
        return state;
    }

    /// <summary>Every field of the state is in the table, or named here with the reason why not.</summary>
    [Fact]
    public void Registers_OfTheState_AreAllTried()
    {
        string[] others =
        [
            // Any bits are valid; x0, which reads as zero; the address, whose lowest bit is dropped, and what is no register.
            nameof(RiscVState.F), nameof(RiscVState.X), nameof(RiscVState.Pc), nameof(RiscVState.Privilege), nameof(RiscVState.Started), nameof(RiscVState.Waiting), nameof(RiscVState.Suspended),
            nameof(RiscVState.Reservation), nameof(RiscVState.ReservedValue),
            // They count.
            nameof(RiscVState.Mcycle), nameof(RiscVState.Minstret),
        ];
        IEnumerable<string> tried = Registers.Select(r => r.Csr.StartsWith("pmpaddr", StringComparison.Ordinal) ? "pmpaddress" : r.Csr == "pmpcfg0" ? "pmpconfiguration" : r.Csr);
        Assert.Equal(
            typeof(RiscVState).GetFields(BindingFlags.Public | BindingFlags.Instance).Select(f => f.Name.ToLowerInvariant()).Order(),
            tried.Concat(others.Select(o => o.ToLowerInvariant())).Distinct().Order());
    }
}
