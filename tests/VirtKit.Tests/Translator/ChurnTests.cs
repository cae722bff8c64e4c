using System.Diagnostics;
using System.Globalization;
using VirtKit.Accel.Translator;
using VirtKit.Execution;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Translator;

/// <summary>A guest that makes new code without end, and runs it at ever new addresses: what the translator keeps of it has a limit.</summary>
[Collection(nameof(MemoryOfTheProcess))]
public sealed class ChurnTests
{
    private const ulong Pages = BareMachine.Ram + 0x10_0000, Page = 0x4000_0000;
    private const int PhysicalPages = 64, VirtualPages = 512, Length = 100, WarmUp = 2_000, Rounds = 8_000;

    /// <summary>As long as <see cref="Soak"/> says, with a line about memory every ten seconds.</summary>
    [Fact]
    public void Memory_OfAGuestThatKeepsMakingCode_StaysWithinItsLimit()
    {
        Translators.Require();
        var engine = new OpenTranslator(new TranslatorOptions { CodeCacheSize = TranslatorOptions.MinCodeCacheSize });
        using var m = new BareMachine(engine, "nop");
        Prepare(m);
        TranslationCache cache = engine.Partition!.Cache;
        Run(m, until: WarmUp);
        long evictions = cache.Counts.Evictions, heap = GC.GetTotalMemory(forceFullCollection: true);
        var reported = Stopwatch.StartNew();
        Func<ulong, bool> goesOn = Soak.While(rounds => rounds < WarmUp + Rounds);
        for (ulong rounds = WarmUp; goesOn(rounds);)
        {
            Run(m, until: rounds += 100);
            Assert.InRange(cache.CodeSize, 0, TranslatorOptions.MinCodeCacheSize);
            Assert.InRange(cache.PagesSize, 0, TranslatorOptions.MinCodeCacheSize + CodePage.SizeOf(InstructionSet.Of(RiscVArchitecture.FullIsa)));
            Assert.InRange(cache.RecordsSize, 0, TranslatorOptions.MinCodeCacheSize * 2);
            if (reported.Elapsed.TotalSeconds < 10)
                continue;
            reported.Restart();
            Report(rounds, cache);
        }

        // Translating one round takes hundreds of bytes where it takes any.
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - heap, long.MinValue, 1 << 20);
        Assert.True(cache.Counts.Evictions > evictions + 10, $"{cache.Counts.Evictions} evictions, {evictions} of them before");
        Report(m.State.X[20], cache);
    }

    /// <summary>Each drops what the other runs, again and again.</summary>
    [Fact]
    public async Task Code_OfTwoHartsThatKeepMakingIt_StaysWhatEachMade()
    {
        Translators.Require();
        var engine = new OpenTranslator(new TranslatorOptions { CodeCacheSize = TranslatorOptions.MinCodeCacheSize });
        using var m = new BareMachine(engine, "nop", vcpus: 2, scheduling: VcpuScheduling.Threads);
        Prepare(m);
        long evictions = 0;
        Func<ulong, bool> goesOn = Soak.While(rounds => rounds < Rounds);
        for (ulong rounds = 0; goesOn(rounds);)
        {
            m.Write(Pages - 8, rounds += Rounds / 4);
            foreach (Vcpu vcpu in m.Machine.Vcpus)
            {
                RiscVState state = vcpu.GetState<RiscVState>();
                state.Waiting = false;
                vcpu.SetState(state);
            }

            Assert.Equal(ExitReason.Halted, (await m.Machine.RunAsync().WaitAsync(Hang.Limit)).Reason);
            foreach (Vcpu vcpu in m.Machine.Vcpus)
            {
                RiscVState state = vcpu.GetState<RiscVState>();
                Assert.Equal((vcpu.Index, rounds, 0UL), (vcpu.Index, state.X[20], state.X[27]));
            }

            Assert.True(engine.Partition!.Cache.Counts.Evictions > evictions, $"No eviction in {Rounds / 4} rounds.");
            evictions = engine.Partition.Cache.Counts.Evictions;
        }
    }

    /// <summary>Every hart has physical pages of its own, and virtual ones.</summary>
    private static void Prepare(BareMachine m)
    {
        var tables = new PageTables(m, 3);
        tables.Map(BareMachine.Ram, BareMachine.Ram, PageTables.All, level: 2);
        m.Write(BareMachine.Ram, $"""
            round: addi s4, s4, 1
            li t0, 5
            mul t0, t0, s4
            andi t0, t0, {PhysicalPages - 1}
            slli t0, t0, 12
            add s5, s9, t0
            andi s7, s4, 0x3ff
            slli t0, s7, 20
            li t1, {BitConverter.ToUInt32(RiscVAssembler.Assemble("addi a0, a0, 0", 0))}
            or t0, t0, t1
            li t1, {Length}
            mv t2, s5
            write: sw t0, 0(t2)
            addi t2, t2, 4
            addi t1, t1, -1
            bnez t1, write
            li t0, {BitConverter.ToUInt32(RiscVAssembler.Assemble("ret", 0))}
            sw t0, 0(t2)
            fence.i
            li t0, 3
            mul t0, t0, s4
            andi t0, t0, {VirtualPages - 1}
            slli t1, t0, 3
            add t1, t1, s10
            srli t2, s5, 2
            ori t2, t2, {PageTables.All}
            sd t2, 0(t1)
            slli s6, t0, 12
            add s6, s6, s1
            sfence.vma s6, zero
            li a0, 0
            jalr ra, 0(s6)
            li t0, {Length}
            mul t0, t0, s7
            bne a0, t0, fail
            ld t0, 0(s8)
            blt s4, t0, round
            wfi
            j round
            fail: li s11, 1
            j fail
            """);
        foreach (Vcpu vcpu in m.Machine.Vcpus)
        {
            ulong own = (ulong)vcpu.Index, pages = Pages + own * PhysicalPages * 0x1000, page = Page + own * VirtualPages * 0x1000;
            RiscVState state = vcpu.GetState<RiscVState>();
            (state.PmpAddress[0], state.PmpConfiguration[0], state.Satp) = (ulong.MaxValue >> 10, 0x1f, tables.Satp);
            (state.Privilege, state.Pc, state.X[24]) = (PrivilegeMode.Supervisor, BareMachine.Ram, Pages - 8);
            (state.X[9], state.X[25], state.X[26]) = (page, pages, tables.Map(page, pages, PageTables.All));
            vcpu.SetState(state);
        }
    }

    /// <summary>Runs until so many rounds are through, each of which has checked what its code computed.</summary>
    private static void Run(BareMachine m, ulong until)
    {
        m.Write(Pages - 8, until);
        RiscVState state = m.State;
        state.Waiting = false;
        m.State = state;
        state = m.RunToWait();
        Assert.Equal((until, 0UL), (state.X[20], state.X[27]));
    }

    private static void Report(ulong rounds, TranslationCache cache)
    {
        using var process = Process.GetCurrentProcess();
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{DateTime.UtcNow:HH:mm:ss} rounds={rounds} evictions={cache.Counts.Evictions} instructions={cache.Counts.Instructions} heap={GC.GetTotalMemory(false) >> 10}K rss={process.WorkingSet64 >> 10}K"));
    }
}
