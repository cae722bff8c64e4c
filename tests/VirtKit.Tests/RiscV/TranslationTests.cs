using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using static VirtKit.Tests.RiscV.Support.PageTables;

namespace VirtKit.Tests.RiscV;

public sealed class TranslationTests
{
    private const ulong Code = BareMachine.Ram + 0x1000, Data = BareMachine.Ram + 0x10_0000, Page = 0x4000_0000;
    private const ulong Sum = 1 << 18, Mxr = 1 << 19, Mprv = 1 << 17, Adue = 1UL << 61;
    private const ulong Ecall = 9, LoadFault = 13, StoreFault = 15, FetchFault = 12, LoadAccess = 5, FetchAccess = 1;

    public static TheoryData<string, int> Levels => [.. from engine in RiscVEngines.All from levels in Enumerable.Range(3, 3) select (engine, levels)];

    [Theory]
    [MemberData(nameof(Levels))]
    public void Walk_OfEveryDepth_ReachesPagesAndSuperpages(string engine, int levels)
    {
        using var m = new BareMachine(engine, "nop");
        PageTables tables = Prepare(m, levels, "ld a0, 0(a1)\nsd a0, 8(a1)\necall");
        ulong high = unchecked((ulong)(long.MinValue >> (64 - (12 + 9 * levels)))) + 0x7000;
        tables.Map(high, Data, All);
        tables.Map(0x8_0000_0000 >> 2, BareMachine.Ram, All, level: 1);
        m.Write(Data, 42);
        Assert.Equal((Ecall, 42UL), Access(m, tables, high));
        Assert.Equal(42UL, m.Read(Data + 8));
        Assert.Equal((Ecall, 42UL), Access(m, tables, (0x8_0000_0000 >> 2) + (Data - BareMachine.Ram)));
        // Not sign-extended, and unmapped.
        Assert.Equal(LoadFault, Access(m, tables, 1UL << (11 + 9 * levels)).Cause);
        Assert.Equal(LoadFault, Access(m, tables, high + 0x1000).Cause);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void AccessedAndDirty_AsMenvcfgSays_AreSetOrFault(string engine)
    {
        using var m = new BareMachine(engine, "nop");
        PageTables tables = Prepare(m, 3, "ld a0, 0(a1)\nsd a0, 8(a1)\necall");
        ulong entry = tables.Map(Page, Data, V | R | W);
        Assert.Equal(LoadFault, Access(m, tables, Page).Cause);
        m.Write(entry, m.Read(entry) | A);
        Assert.Equal(StoreFault, Access(m, tables, Page).Cause);
        m.Write(entry, m.Read(entry) & ~A);
        Assert.Equal(Ecall, Access(m, tables, Page, (ref RiscVState s) => s.Menvcfg |= Adue).Cause);
        Assert.Equal(A | D, m.Read(entry) & (A | D));
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Permissions_SumMxrAndMprv_AreWhatTheySay(string engine)
    {
        using var m = new BareMachine(engine, "nop");
        PageTables tables = Prepare(m, 3, "ld a0, 0(a1)\necall");
        tables.Map(Page, Data, V | R | U | A);
        tables.Map(Page + 0x1000, Data, V | X | A);
        Assert.Equal(LoadFault, Access(m, tables, Page).Cause);
        Assert.Equal(Ecall, Access(m, tables, Page, (ref RiscVState s) => s.Mstatus |= Sum).Cause);
        Assert.Equal(LoadFault, Access(m, tables, Page + 0x1000).Cause);
        Assert.Equal(Ecall, Access(m, tables, Page + 0x1000, (ref RiscVState s) => s.Mstatus |= Mxr).Cause);
        // M with MPRV loads as U (MPP 0), and fetches as itself.
        m.Write(Data, 7);
        RiscVState state = m.RunIn(PrivilegeMode.Machine, Code, (ref RiscVState s) => (s.X[11], s.Satp, s.Mstatus) = (Page, tables.Satp, Mprv));
        Assert.Equal((11UL, 7UL), (state.Mcause, state.X[10]));
        state = m.RunIn(PrivilegeMode.Machine, Code, (ref RiscVState s) => (s.X[11], s.Satp, s.Mstatus) = (Page + 0x1000, tables.Satp, Mprv));
        Assert.Equal(LoadFault, state.Mcause);
        Assert.Equal(FetchFault, m.RunIn(PrivilegeMode.Supervisor, Page, (ref RiscVState s) => s.Satp = tables.Satp).Mcause);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Napot_SixtyFourKibibytes_TranslatesEveryPageOfIt(string engine)
    {
        using var m = new BareMachine(engine, "nop");
        PageTables tables = Prepare(m, 3, "ld a0, 0(a1)\necall");
        ulong Pattern(ulong bits) => (Data >> 12 | bits) << 12;
        for (ulong i = 0; i < 16; i++)
        {
            tables.Map(Page + i * 0x1000, Pattern(8), N | V | R | A);
            tables.Map(Page + 0x10000 + i * 0x1000, Pattern(4), N | V | R | A);
            m.Write(Data + i * 0x1000, i + 1);
        }

        for (ulong i = 0; i < 16; i++)
            Assert.Equal((Ecall, i + 1), Access(m, tables, Page + i * 0x1000));
        Assert.Equal(LoadFault, Access(m, tables, Page + 0x10000).Cause);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void SfenceVma_OfOneAddress_ForgetsThePageAndTheSuperpageAroundIt(string engine)
    {
        using var m = new BareMachine(engine, "nop");
        // Loads, lets a2's entry become a3, fences one address and loads again.
        PageTables tables = Prepare(m, 3, "ld a0, 0(a1)\nsd a3, 0(a2)\nsfence.vma a4, zero\nld a5, 0(a1)\necall");
        m.Write(Data, 1);
        m.Write(Data + 0x1000, 2);
        ulong page = tables.Map(Page, Data, All);
        ulong large = tables.Map(Page + 0x20_0000, BareMachine.Ram, All, level: 1);
        tables.Map(0x5000_0000, page & ~0xfffUL, All);
        tables.Map(0x5000_1000, large & ~0xfffUL, All);
        RiscVState small = m.RunIn(PrivilegeMode.Supervisor, Code, (ref RiscVState s) =>
            (s.Satp, s.X[11], s.X[12], s.X[13], s.X[14]) = (tables.Satp, Page, 0x5000_0000 + (page & 0xfff), Data + 0x1000 >> 2 | All, Page + 0x800));
        Assert.Equal((Ecall, 1UL, 2UL), (small.Mcause, small.X[10], small.X[15]));
        ulong inside = Page + 0x20_0000 + (Data - BareMachine.Ram);
        RiscVState super = m.RunIn(PrivilegeMode.Supervisor, Code, (ref RiscVState s) =>
            (s.Satp, s.X[11], s.X[12], s.X[13], s.X[14]) = (tables.Satp, inside, 0x5000_1000 + (large & 0xfff), 0, Page + 0x20_0000));
        Assert.Equal((LoadFault, inside, 1UL), (super.Mcause, super.Mtval, super.X[10]));
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Walk_OfHostileTables_FaultsAndReturns(string engine)
    {
        Random random = Seed.Random();
        using var m = new BareMachine(engine, "nop");
        PageTables tables = Prepare(m, 3, "ld a0, 0(a1)\necall");
        // A table that points to itself, one out of RAM, and entries of noise.
        m.Write(tables.Root + 511 * 8, tables.Root >> 12 << 10 | V);
        Assert.Equal(LoadFault, Access(m, tables, ulong.MaxValue << 12).Cause);
        m.Write(tables.Root + 510 * 8, 0xfff_ffff_ffffUL << 10 | V);
        Assert.Equal(LoadAccess, Access(m, tables, ulong.MaxValue << 31).Cause);
        for (int i = 0; i < 200; i++)
        {
            m.Write(tables.Root + 509 * 8, (ulong)random.NextInt64());
            Assert.Contains(Access(m, tables, (ulong.MaxValue << 32) + (1UL << 30) + (ulong)random.Next() * 8 % (1UL << 30)).Cause, (ulong[])[Ecall, LoadFault, LoadAccess]);
        }

        Assert.Equal(FetchAccess, m.RunIn(PrivilegeMode.Supervisor, Code, (ref RiscVState s) => s.Satp = 8UL << 60 | 0xfff_ffff_ffff).Mcause);
    }

    /// <summary>Code, identity-mapped for S, and PMP that allows everything.</summary>
    private static PageTables Prepare(BareMachine m, int levels, string code)
    {
        m.Write(Code, code);
        var tables = new PageTables(m, levels);
        tables.Map(Code, Code, V | R | X | A);
        RiscVState state = m.State;
        state.PmpAddress[0] = ulong.MaxValue >> 10;
        state.PmpConfiguration[0] = 0x1f;
        m.State = state;
        return tables;
    }

    private static (ulong Cause, ulong Value) Access(BareMachine m, PageTables tables, ulong address, BareMachine.StateChange? change = null)
    {
        RiscVState state = m.RunIn(PrivilegeMode.Supervisor, Code, (ref RiscVState s) =>
        {
            (s.X[11], s.Satp, s.Menvcfg, s.Mstatus) = (address, tables.Satp, 0, 0);
            change?.Invoke(ref s);
        });
        if (state.Mcause != Ecall)
            Assert.Equal(address & ~0xfUL, state.Mtval & ~0xfUL);
        return (state.Mcause, state.X[10]);
    }
}
