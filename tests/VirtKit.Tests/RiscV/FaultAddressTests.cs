using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>What mtval says for instructions that reach further than one operand: the part that faults (RV-Priv §3.1.16), rs1 for cache blocks (RV-Unpriv §19.3). Nothing
/// has been read or written then.</summary>
public sealed class FaultAddressTests
{
    private const ulong Code = BareMachine.Ram + 0x1000, Data = BareMachine.Ram + 0x10_0000, Virtual = 0x4000_0000, Device = 0x1000_0000, Nowhere = 0x7000_0000_0000;
    private const byte R = 1, W = 2, X = 4, Napot = 3 << 3;

    /// <summary>The virtual page at <see cref="Virtual"/> is memory, the next is not mapped, the third is memory, the fourth a device.</summary>
    private const ulong Memory = Virtual, Hole = Virtual + 0x1000, After = Virtual + 0x2000, DevicePage = Virtual + 0x3000, ReadOnly = Virtual + 0x4000;

    /// <summary>Instruction with rs1 = a1, the address in a1, cause, mtval.</summary>
    private static readonly (string Instruction, ulong Address, ulong Cause, ulong Value)[] Faults =
    [
        .. from i in (string[])["cbo.zero (a1)", "cbo.inval (a1)", "cbo.clean (a1)", "cbo.flush (a1)"]
           from fault in ((ulong, ulong)[])[(Hole + 0x14, 15), (0x8000_0000_0000_0039, 15)]
           select (i, fault.Item1, fault.Item2, fault.Item1),
        ("cbo.zero (a1)", ReadOnly + 0x7f, 15, ReadOnly + 0x7f),
        ("cbo.zero (a1)", DevicePage + 0x24, 7, DevicePage + 0x24),
        // Crossing loads and stores: their own address where the first page faults, the second page where that does.
        .. from size in (int[])[2, 4, 8]
           from inFirst in Enumerable.Range(1, size - 1)
           let name = size switch { 2 => "h", 4 => "w", _ => "d" }
           from fault in ((string, ulong, ulong, ulong)[])
           [
               ($"l{name} a0, 0(a1)", Hole - (ulong)inFirst, 13, Hole), ($"s{name} a2, 0(a1)", Hole - (ulong)inFirst, 15, Hole),
               ($"l{name} a0, 0(a1)", After - (ulong)inFirst, 13, After - (ulong)inFirst), ($"s{name} a2, 0(a1)", After - (ulong)inFirst, 15, After - (ulong)inFirst),
               ($"s{name} a2, 0(a1)", ReadOnly + 0x1000 - (ulong)inFirst, 15, ReadOnly + 0x1000 - (ulong)inFirst),
           ]
           select fault,
        // A device that is reached first is not read before the second page may be.
        ("fld fa0, 0(a1)", Hole - 4, 13, Hole),
        ("fsd fa0, 0(a1)", Hole - 4, 15, Hole),
        ("fsw fa0, 1(a1)", Hole - 2, 15, Hole),
        ("ld a0, 16(a1)", Hole - 20, 13, Hole),
        // Atomics do not cross: misaligned ones say so, whether the page is there or not.
        ("lr.d a0, (a1)", Memory + 4, 4, Memory + 4),
        ("sc.d a0, a2, (a1)", Memory + 4, 6, Memory + 4),
        ("amoadd.w a0, a2, (a1)", Memory + 2, 6, Memory + 2),
        ("lr.w a0, (a1)", Hole + 8, 13, Hole + 8),
        ("sc.w a0, a2, (a1)", Hole + 8, 15, Hole + 8),
        ("amoadd.d a0, a2, (a1)", Hole + 8, 15, Hole + 8),
        ("amomax.w a0, a2, (a1)", ReadOnly + 8, 15, ReadOnly + 8),
        ("lr.w a0, (a1)", DevicePage + 8, 5, DevicePage + 8),
        ("amoadd.w a0, a2, (a1)", DevicePage + 8, 7, DevicePage + 8),
        // c.lw a0, 4(a1) and c.sd a0, 8(a1).
        (".half 0x41c8", Hole, 13, Hole + 4),
        (".half 0xe588", Hole, 15, Hole + 8),
    ];

    public static TheoryData<string, string, ulong, ulong, ulong> Cases =>
        [.. from engine in RiscVEngines.All from f in Faults select (engine, f.Instruction, f.Address, f.Cause, f.Value)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Fault_OfAnAccess_ReportsItsPart(string engine, string instruction, ulong address, ulong cause, ulong value)
    {
        int accesses = 0;
        using BareMachine m = Prepare(engine, new FakeDevice { Window = new("counts", 0x1000), OnRead = (_, _) => (ulong)++accesses, OnWrite = (_, _, _) => accesses++ });
        m.Write(Code, $"nop\n{instruction}\necall");
        var before = new byte[0x6000];
        m.Machine.Memory.Read(new Gpa(Data), before);
        // Once alone, and once where the translator has a block of it.
        for (int i = 0; i < 3; i++)
        {
            RiscVState state = m.RunIn(PrivilegeMode.Supervisor, Code, (ref RiscVState s) =>
            {
                (s.X[10], s.X[11], s.X[12], s.Menvcfg, s.Mstatus) = (5, address, ulong.MaxValue, 0xf0, s.Mstatus | 3 << 13);
            });
            Assert.Equal((cause, value, Code + 4, 5UL), (state.Mcause, state.Mtval, state.Mepc, state.X[10]));
        }

        var after = new byte[before.Length];
        m.Machine.Memory.Read(new Gpa(Data), after);
        Assert.True(before.AsSpan().SequenceEqual(after), "Memory has changed.");
        Assert.Equal(0, accesses);
    }

    /// <summary>The same for PMP, whose ranges may end inside an operand.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Fault_ByPmp_ReportsTheAccess(string engine)
    {
        using BareMachine m = Prepare(engine, new FakeDevice());
        Set(m, (ref RiscVState s) =>
        {
            // The last four bytes of a block, and the next page.
            (s.PmpAddress[0], s.PmpConfiguration[0]) = (Data + 0x7c >> 2, 2 << 3);
            (s.PmpAddress[1], s.PmpConfiguration[1]) = (Data + 0x1000 >> 2 | 0x1ff, Napot);
            (s.PmpAddress[2], s.PmpConfiguration[2]) = (Data + 0x2000 >> 2 | 0x1ff, Napot | R);
            (s.PmpAddress[3], s.PmpConfiguration[3]) = (ulong.MaxValue >> 10, Napot | R | W | X);
            s.Satp = 0;
        });
        m.Write(Data + 0x40, 0x1122334455667788);
        foreach ((string instruction, ulong address, ulong cause, ulong value) in new[]
        {
            ("cbo.zero (a1)", Data + 0x44, 7UL, Data + 0x44), ("cbo.zero (a1)", Data + 0x7f, 7UL, Data + 0x7f), ("cbo.clean (a1)", Data + 0x44, 7UL, Data + 0x44),
            ("cbo.clean (a1)", Data + 0x84, 9UL, 0UL), ("cbo.zero (a1)", Data + 0x84, 9UL, 0UL), ("cbo.flush (a1)", Data + 0x2044, 9UL, 0UL),
            ("cbo.zero (a1)", Data + 0x2044, 7UL, Data + 0x2044),
            ("ld a0, 0(a1)", Data + 0xffc, 5UL, Data + 0x1000), ("sd a0, 0(a1)", Data + 0xffc, 7UL, Data + 0x1000), ("sd a0, 0(a1)", Data + 0x1ffc, 7UL, Data + 0x1ffc),
            ("sd a0, 0(a1)", Data + 0x78, 7UL, Data + 0x78), ("cbo.zero (a1)", Nowhere + 0x39, 7UL, Nowhere + 0x39), ("cbo.clean (a1)", Nowhere + 0x39, 7UL, Nowhere + 0x39),
        })
        {
            m.Write(Code, $"{instruction}\necall");
            RiscVState state = m.RunIn(PrivilegeMode.Supervisor, Code, (ref RiscVState s) => (s.X[11], s.Menvcfg) = (address, 0xf0));
            Assert.Equal((instruction, address, cause, value), (instruction, address, state.Mcause, state.Mtval));
            Assert.Equal(0x1122334455667788UL, m.Read(Data + 0x40));
        }
    }

    /// <summary>A fetch reports the half that faults, by page tables and by PMP; the trap's address is the instruction's (RV-Priv §3.1.16).</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Fetch_AcrossIntoWhatIsClosed_ReportsItsSecondHalf(string engine)
    {
        using BareMachine m = Prepare(engine, new FakeDevice());
        m.Machine.Memory.Write(new Gpa(Data + 0xffe), [0x13, 0x05]);
        m.Machine.Memory.Write(new Gpa(Data + 0x3e), [0x13, 0x05]);
        RiscVState state = m.RunIn(PrivilegeMode.Supervisor, Memory + 0xffe);
        Assert.Equal((12UL, Hole, Memory + 0xffe), (state.Mcause, state.Mtval, state.Mepc));
        state = m.RunIn(PrivilegeMode.Supervisor, Hole);
        Assert.Equal((12UL, Hole, Hole), (state.Mcause, state.Mtval, state.Mepc));
        Set(m, (ref RiscVState s) =>
        {
            (s.PmpAddress[0], s.PmpConfiguration[0]) = (Data + 0x40 >> 2 | 7, Napot | R);
            (s.PmpAddress[1], s.PmpConfiguration[1]) = (ulong.MaxValue >> 10, Napot | R | W | X);
        });
        state = m.RunIn(PrivilegeMode.Supervisor, Memory + 0x3e);
        Assert.Equal((1UL, Memory + 0x40, Memory + 0x3e), (state.Mcause, state.Mtval, state.Mepc));
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void LoadAcrossFromADevice_IntoAHole_DoesNotReadTheDevice(string engine)
    {
        int reads = 0;
        using BareMachine m = Prepare(engine, new FakeDevice { Window = new("counts", 0x1000), OnRead = (_, _) => (ulong)++reads });
        new PageTables(m, 3).Map(ReadOnly, 0, 0);
        m.Write(Code, "ld a0, 0(a1)\necall");
        RiscVState state = m.RunIn(PrivilegeMode.Supervisor, Code, (ref RiscVState s) => s.X[11] = ReadOnly - 3);
        Assert.Equal((13UL, ReadOnly, 0), (state.Mcause, state.Mtval, reads));
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void CboZero_AnyAddressOfABlock_ZeroesTheBlockAlone(string engine)
    {
        using BareMachine m = Prepare(engine, new FakeDevice());
        for (ulong i = 0; i < 0x200; i += 8)
            m.Write(Data + i, ulong.MaxValue);
        m.Write(Code, "cbo.zero (a1)\necall");
        Assert.Equal(9UL, m.RunIn(PrivilegeMode.Supervisor, Code, (ref RiscVState s) => (s.X[11], s.Menvcfg) = (Memory + 0xbf, 0xf0)).Mcause);
        for (ulong i = 0; i < 0x200; i += 8)
            Assert.Equal((i, i is >= 0x80 and < 0xc0 ? 0 : ulong.MaxValue), (i, m.Read(Data + i)));
    }

    private static BareMachine Prepare(string engine, FakeDevice device)
    {
        var m = new BareMachine(engine, "nop");
        m.Machine.Memory.Map(new Gpa(Device), device);
        var tables = new PageTables(m, 3);
        tables.Map(BareMachine.Ram, BareMachine.Ram, PageTables.All, level: 2);
        tables.Map(Memory, Data, PageTables.All);
        tables.Map(After, Data + 0x2000, PageTables.All);
        tables.Map(DevicePage, Device, PageTables.All);
        tables.Map(ReadOnly, Data + 0x4000, PageTables.All & ~PageTables.W);
        tables.Map(ReadOnly + 0x1000, Data + 0x5000, PageTables.All);
        Set(m, (ref RiscVState s) => (s.PmpAddress[0], s.PmpConfiguration[0], s.Satp) = (ulong.MaxValue >> 10, 0x1f, tables.Satp));
        return m;
    }

    private static void Set(BareMachine m, BareMachine.StateChange change)
    {
        RiscVState state = m.State;
        change(ref state);
        m.State = state;
    }
}
