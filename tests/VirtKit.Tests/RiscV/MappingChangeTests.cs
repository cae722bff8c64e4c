using VirtKit.Execution;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;
using static VirtKit.Tests.RiscV.Support.PageTables;

namespace VirtKit.Tests.RiscV;

/// <summary>Code that has just reached a page runs again after what the page is, or who may reach it, has changed: it has to see the new memory, or the fault. Engines
/// keep the way to a page in many places, by kind of code: <see cref="Hot"/> has one for each.</summary>
public sealed class MappingChangeTests
{
    private const ulong Code = BareMachine.Ram + 0x1000, UserCode = 0x6000_0000, EntryPage = 0x5000_0000;

    // What the page is before, what it may become, and what is at its address without translation.
    private const ulong First = BareMachine.Ram + 0x10_0000, Second = BareMachine.Ram + 0x11_0000, Page = BareMachine.Ram + 0x30_0000;
    private const int Stored = 0x100;

    /// <summary>Apart from the rest of RAM, so that the host can take it away.</summary>
    private const ulong Memory = 0x9000_0000;
    private const ulong Sum = 1 << 18, Mxr = 1 << 19, Mprv = 1 << 17, SupervisorBefore = 1 << 11, FloatDirty = 3 << 13;
    private const ulong LoadFault = 13, LoadAccess = 5;

    /// <summary>The cause of a store is that of a load and so much.</summary>
    private const ulong StoreAfterLoad = 2;

    /// <summary>Loads into a0 from the page at a1, or stores s3.</summary>
    private static readonly Dictionary<string, string> Hot = new()
    {
        ["loop"] = "li t0, 40\nagain: ld a0, 0(a1)\naddi t0, t0, -1\nbnez t0, again",
        ["group"] = "ld a0, 0(a1)\nld a5, 8(a1)",
        ["loop of a group"] = "li t0, 40\nagain: ld a0, 0(a1)\nld a5, 8(a1)\naddi t0, t0, -1\nbnez t0, again",
        ["loop that borrows"] = "mv t4, a1\nli t5, 40\nagain: lw t3, 0(t4)\nadd t6, t3, t5\naddi t5, t5, -1\nbnez t5, again\nmv a0, t3",
        ["computed address"] = "add a6, a1, zero\nld a0, 0(a6)",
        ["float"] = "li t0, 40\nagain: fld fa0, 0(a1)\naddi t0, t0, -1\nbnez t0, again\nfmv.x.d a0, fa0",
        ["store loop"] = $"li t0, 40\nagain: sd s3, {Stored}(a1)\naddi t0, t0, -1\nbnez t0, again",
        ["store group"] = $"sd s3, {Stored}(a1)\nsd s3, {Stored + 8}(a1)",
        ["atomic"] = $"addi a6, a1, {Stored}\nli t0, 40\nagain: amoswap.d a5, s3, (a6)\naddi t0, t0, -1\nbnez t0, again",
    };

    // s2: the page's entry; s5: what makes it the second page; s6, s7: satp of other tables and these; s8: satp of these as another address space; a1: the page.
    private static readonly Dictionary<string, Change> Changes = new()
    {
        ["sfence.vma"] = new("sd s5, 0(s2)\nsfence.vma", 2),
        ["sfence.vma of the address"] = new("sd s5, 0(s2)\nsfence.vma a1, zero", 2),
        ["sfence.vma of the address space"] = new("sd s5, 0(s2)\nli a6, 0\nsfence.vma zero, a6", 2),
        ["sfence.vma of the address in the address space"] = new("sd s5, 0(s2)\nli a6, 0\nsfence.vma a1, a6", 2),
        ["sinval.vma"] = new("sd s5, 0(s2)\nsfence.w.inval\nsinval.vma a1, zero\nsfence.inval.ir", 2),
        ["unmapped"] = new("sd zero, 0(s2)\nsfence.vma a1, zero", Fault: LoadFault),
        ["other tables"] = new("csrw satp, s6\nsfence.vma", 2),
        ["other tables of another address space, without a fence"] = new("csrw satp, s6", 2),
        ["other tables and back"] = new("csrw satp, s6\ncall hot\ncsrw satp, s7", 1),
        ["changed tables of another address space"] = new("sd s5, 0(s2)\ncsrw satp, s8", 2),
        ["two address spaces in turns"] = new("csrw satp, s8\ncall hot\ncsrw satp, s6\ncall hot\ncsrw satp, s8", 1),
        ["the address, fenced from another address space"] = new(Elsewhere + "sfence.vma a1, zero\ncsrw satp, s8", 2),
        ["the address and address space, fenced from another"] = new(Elsewhere + "li a6, 2\nsfence.vma a1, a6\ncsrw satp, s8", 2),
        ["the address space, fenced from another"] = new(Elsewhere + "li a6, 2\nsfence.vma zero, a6\ncsrw satp, s8", 2),
        ["all, fenced from another address space"] = new(Elsewhere + "sfence.vma\ncsrw satp, s8", 2),
        ["a number that others have used"] = new(
            $"li s9, {2 * Mmu.Spaces}\nli s10, {1UL << 44}\nmv s11, s8\nnext: csrw satp, s11\ncall hot\nadd s11, s11, s10\naddi s9, s9, -1\nbnez s9, next\nsd s5, 0(s2)\nsfence.vma a1, zero\ncsrw satp, s8", 2),
        ["SUM"] = new($"li t0, {Sum}\ncsrc sstatus, t0", Fault: LoadFault, Entry: All | U, Status: Sum),
        ["SUM there and back"] = new($"li t0, {Sum}\ncsrc sstatus, t0\nsd s5, 0(s2)\nsfence.vma a1, zero\ncsrs sstatus, t0", 2, Entry: All | U, Status: Sum),
        ["MXR"] = new($"li t0, {Mxr}\ncsrc sstatus, t0", Fault: LoadFault, Entry: V | X | A, Status: Mxr, LoadsOnly: true),
        ["user mode"] = new($"la t0, hot\nli t1, {(long)UserCode - (long)Code}\nadd t0, t0, t1\ncsrw sepc, t0\nli t0, 0x100\ncsrc sstatus, t0\nsret", Fault: LoadFault),
        ["MPRV"] = new($"li t0, {Mprv}\ncsrc mstatus, t0", 3, IsMachine: true),
        ["MPP"] = new("li t0, 0x1800\ncsrc mstatus, t0", Fault: LoadFault, IsMachine: true),
        ["no translation"] = new("csrw satp, zero", 3, IsMachine: true),
        ["PMP entry"] = new($"li t0, {First >> 2 | 0x1ff}\ncsrw pmpaddr0, t0\nli t0, 0x18\ncsrw pmpcfg0, t0", Fault: LoadAccess, IsMachine: true),
        ["PMP address"] = new($"li t0, 0x18\ncsrw pmpcfg0, t0\ncall hot\nli t0, {First >> 2 | 0x1ff}\ncsrw pmpaddr0, t0", Fault: LoadAccess, IsMachine: true),
        ["PMP of half the page"] = new($"li t0, {First >> 2 | 0xff}\ncsrw pmpaddr0, t0\nli t0, 0x18\ncsrw pmpcfg0, t0", Fault: LoadAccess, IsMachine: true),
    };

    /// <summary>The page is known in one address space, and is changed in the other, which has the same tables.</summary>
    private const string Elsewhere = "csrw satp, s8\ncall hot\ncsrw satp, s7\nsd s5, 0(s2)\n";

    public static TheoryData<string, string> GuestCases => [.. from engine in RiscVEngines.All from change in Changes.Keys select (engine, change)];

    [Theory]
    [MemberData(nameof(GuestCases))]
    public void Access_AfterTheGuestChangedIt_SeesIt(string engine, string change)
    {
        foreach (string hot in Hot.Keys.Where(name => !Changes[change].LoadsOnly || IsLoad(name)))
            Assert.Equal((hot, Changes[change].Expected(IsLoad(hot))), (hot, Run(engine, hot, Changes[change])));
    }

    /// <summary>Translations go before the guest asks where others take their place. When that happens is no engine's own affair, for a guest can see it.</summary>
    [Fact]
    public void Access_BehindAChangeWithoutAFence_IsTheSameOnEveryEngine()
    {
        const ulong Other = Page + ((ulong)TlbEntry.Count << 12);
        foreach (string other in (ReadOnlySpan<string>)["nop", "ld a5, 0(a7)", "sd a5, 0(a7)", "amoswap.d a5, zero, (a7)", "amoor.d a5, zero, (a1)", "lh a5, 1(a1)", "sh a5, 17(a1)"])
        {
            var change = new Change($"li a7, {Other}\n{other}\nsd s5, 0(s2)\nli s3, 8\ncall hot\n{other}\nli s3, 9\ncall hot", 0);
            foreach (string hot in Hot.Keys)
                Assert.Single(RiscVEngines.All.Select(engine => (hot, other, Run(engine, hot, change, tables => tables.Map(Other, Second + 0x1000, All)))).Distinct());
        }
    }

    /// <summary>As with loads and stores. Other code is run meanwhile, of the same page and of those that may take its place.</summary>
    [Fact]
    public void Code_BehindAChangeWithoutAFence_IsTheSameOnEveryEngine()
    {
        string Outcome(string engine, string between)
        {
            string change = $"jalr ra, 0(a1)\nsd s5, 0(s2)\n{between}\njalr ra, 0(a1)\njalr ra, 8(a1)\nmv s9, a4\njalr ra, 4(a1)";
            using BareMachine m = Prepare(engine, "group", new Change(change, 0), out PageTables tables);
            m.Write(First, "addi a4, a4, 1\naddi a4, a4, 1\naddi a4, a4, 1\nret");
            m.Write(Second, "addi a4, a4, 64\naddi a4, a4, 64\naddi a4, a4, 64\nret");
            m.Write(Second + 0x2000, "ret");
            for (int i = 0; i < 4; i++)
                tables.Map(Page + (1UL << (20 + i)), Second + 0x2000, All);
            RiscVState state = m.RunToWait();
            return $"{state.X[14]} {state.X[25]} {state.Mcause}";
        }

        foreach (string between in (ReadOnlySpan<string>)["nop", "li a7, 0x100000", "li a7, 0x200000", "li a7, 0x400000", "all four"])
        {
            string code = string.Join('\n', between switch
            {
                "nop" => [between],
                "all four" => Enumerable.Range(20, 4).Select(bit => Call($"li a7, {1 << bit}")),
                _ => (string[])[Call(between)],
            });
            Assert.Single(RiscVEngines.All.Select(engine => (between, Outcome(engine, code))).Distinct());
        }

        static string Call(string distance) => distance + "\nadd a7, a7, a1\njalr ra, 0(a7)";
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Code_OfTwoAddressSpacesAtOneAddress_IsThatOfTheCurrentOne(string engine)
    {
        string turn = "csrw satp, s6\njalr ra, 0(a1)\ncsrw satp, s8\njalr ra, 0(a1)\n";
        using BareMachine m = Prepare(engine, "group", new Change($"li a4, 0\n{turn}{turn}{turn}mv s9, a4", 0), out _);
        m.Write(First, "addi a4, a4, 1\nret");
        m.Write(Second, "addi a4, a4, 64\nret");
        Assert.Equal(3UL * (64 + 1), m.RunToWait().X[25]);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Access_AfterTheHostChangedTheMap_SeesIt(string engine)
    {
        foreach (string hot in Hot.Keys)
        {
            using BareMachine m = Prepare(engine, hot, Again, out PageTables tables);
            AddressSpace memory = m.Machine.Memory;
            MemoryRegion region = memory.MapRam(new Gpa(Memory), 0x1000);
            m.Write(Memory, 1);
            tables.Map(Page, Memory, All);
            (ulong, ulong) Outcome()
            {
                m.Vcpu.Run(1000);
                return IsLoad(hot) ? (m.State.X[10], m.State.Mcause) : (memory.TryRead(new Gpa(Memory + Stored), out ulong stored) ? stored : 0, m.State.Mcause);
            }

            Assert.Equal((hot, (IsLoad(hot) ? 1UL : 7, 0UL)), (hot, Outcome()));
            memory.Unmap(region);
            region = memory.MapRam(new Gpa(Memory), 0x1000);
            m.Write(Memory, 2);
            Assert.Equal((hot, (IsLoad(hot) ? 2UL : 7, 0UL)), (hot, Outcome()));
            memory.Unmap(region);
            region = memory.MapRom(new Gpa(Memory), 0x1000);
            memory.Write(new Gpa(Memory), [3]);
            // ROM ignores a store, and has no atomics.
            Assert.Equal((hot, IsLoad(hot) ? (3UL, 0UL) : (0, hot == "atomic" ? LoadAccess + StoreAfterLoad : 0)), (hot, Outcome()));
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Access_AfterMemoryBecameADevice_ReachesIt(string engine)
    {
        ulong written = 0;
        foreach (string hot in Hot.Keys.Where(name => name != "atomic"))
        {
            using BareMachine m = Prepare(engine, hot, Again, out PageTables tables);
            MemoryRegion region = m.Machine.Memory.MapRam(new Gpa(Memory), 0x1000);
            tables.Map(Page, Memory, All);
            m.Vcpu.Run(1000);
            m.Machine.Memory.Unmap(region);
            m.Machine.Memory.Map(new Gpa(Memory), new FakeDevice { Window = new("late", 0x1000), OnRead = (_, _) => 5, OnWrite = (_, _, value) => written = value });
            ulong before = m.Vcpu.Counters.Retired;
            m.Vcpu.Run(1000);
            Assert.Equal((hot, 5UL, 1000UL), (hot, IsLoad(hot) ? m.State.X[10] : written - 2, m.Vcpu.Counters.Retired - before));
            Assert.True(m.Vcpu.Counters.MmioAccesses > 0);
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Access_AfterTheHostSetAnotherStateOrReset_IsThatOfTheState(string engine)
    {
        foreach (string hot in Hot.Keys.Where(IsLoad))
        {
            using BareMachine m = Prepare(engine, hot, Again, out PageTables tables);
            m.Vcpu.Run(1000);
            ulong entry = tables.Map(Page, Second, All);
            m.State = m.State;
            m.Vcpu.Run(1000);
            Assert.Equal((hot, 2UL), (hot, m.State.X[10]));
            m.Write(entry, 0);
            m.Machine.Reset();
            RiscVState state = m.State;
            (state.Pc, state.X[11], state.Mstatus) = (m["hot"], Page, FloatDirty);
            state.X[1] = m["again_hot"];
            m.State = state;
            m.Vcpu.Run(500);
            Assert.Equal((hot, 3UL), (hot, m.State.X[10]));
        }
    }

    private static Change Again => new("again_hot: call hot\nj again_hot", 0);

    private static bool IsLoad(string hot) => !hot.StartsWith("store", StringComparison.Ordinal) && hot != "atomic";

    /// <returns>The page that was reached behind the change, 0 for none, and the exception.</returns>
    private static (ulong Value, ulong Cause) Run(string engine, string hot, in Change change, Action<PageTables>? map = null)
    {
        using BareMachine m = Prepare(engine, hot, change, out PageTables tables);
        map?.Invoke(tables);
        RiscVState state = m.RunToWait();
        ulong value = state.X[10];
        if (!IsLoad(hot))
            value = (ulong)Array.FindIndex((ulong[])[0, First, Second, Page], page => page != 0 && m.Read(page + Stored) == 9);
        return state.Mcause is 9 or 11 ? (value, 0) : (0, state.Mcause);
    }

    /// <summary>A guest in S-mode, or in M-mode with the data privilege of S-mode, that reaches the first page, changes something and tries again.</summary>
    private static BareMachine Prepare(string engine, string hot, in Change change, out PageTables tables)
    {
        var m = new BareMachine(engine, $"""
            .org {Code}
            start: li s3, 7
            call hot
            call hot
            {change.Code}
            li s3, 9
            li a0, 0
            call hot
            ecall
            hot: {Hot[hot]}
            ret
            handler: wfi
            j handler
            """);
        tables = new PageTables(m, 3);
        var others = new PageTables(m, 3, BareMachine.Ram + 0x28_0000);
        foreach (PageTables each in (ReadOnlySpan<PageTables>)[tables, others])
        {
            each.Map(Code, Code, V | R | X | A);
            each.Map(UserCode, Code, V | R | X | A | U);
        }

        ulong entry = tables.Map(Page, First, change.Entry);
        tables.Map(EntryPage, entry & ~0xfffUL, All);
        others.Map(Page, Second, change.Entry);
        foreach ((ulong page, ulong number) in (ReadOnlySpan<(ulong, ulong)>)[(First, 1), (Second, 2), (Page, 3)])
        {
            m.Write(page, number);
            m.Write(page + 8, number);
        }

        RiscVState state = m.State;
        (state.PmpAddress[15], state.PmpConfiguration[15]) = (ulong.MaxValue >> 10, 0x1f);
        (state.Pc, state.Satp, state.Mtvec) = (Code, tables.Satp, m["handler"]);
        state.Privilege = change.IsMachine ? PrivilegeMode.Machine : PrivilegeMode.Supervisor;
        state.Mstatus = change.Status | FloatDirty | (change.IsMachine ? Mprv | SupervisorBefore : 0);
        (state.X[11], state.X[18], state.X[21]) = (Page, EntryPage | entry & 0xfff, Second >> 2 | change.Entry);
        (state.X[22], state.X[23], state.X[24]) = (others.Satp | 1UL << 44, tables.Satp, tables.Satp | 2UL << 44);
        m.State = state;
        return m;
    }

    /// <param name="Code">What the guest does to make the change.</param>
    /// <param name="Value">The page that it then reaches.</param>
    /// <param name="Fault">Or the exception, as a load has it.</param>
    /// <param name="Entry">The permissions of the page.</param>
    /// <param name="Status">Bits of mstatus before.</param>
    /// <param name="IsMachine">Whether it happens in M-mode.</param>
    private readonly record struct Change(
        string Code, ulong Value = 0, ulong Fault = 0, ulong Entry = All, ulong Status = 0, bool IsMachine = false, bool LoadsOnly = false)
    {
        /// <returns>The page, or the exception.</returns>
        public (ulong Value, ulong Cause) Expected(bool isLoad) => (Value, Fault == 0 || isLoad ? Fault : Fault + StoreAfterLoad);
    }
}
