using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>Guests that make an engine keep something new with every few instructions: what the process holds does not grow. A kind of record each.</summary>
[Collection(nameof(MemoryOfTheProcess))]
public sealed class KeptMemoryTests
{
    /// <summary>Each round leaves at least a page's record behind, 12 KiB: unbounded, 40,000 of them are 480 MB.</summary>
    private const ulong WarmUp = 4_000, Rounds = 40_000;

    private const long MaxGrowth = 64 << 20;
    private const ulong Root = BareMachine.Ram + 0x20_0000, Page = BareMachine.Ram + 0x10_0000, Handler = BareMachine.Ram + 0x1000;

    /// <summary>The code that every virtual page holds, and whether every second one is not mapped. s0 counts rounds, t1 is how far the next one is, M-mode skips what
    /// traps and goes on there.</summary>
    private static readonly Dictionary<string, (string Code, bool HasHoles, ulong Start)> Kinds = new()
    {
        ["instructions that reach into a page that is not there"] = ($".org {Page + 0xffe}\n.half 0x0513", true, 0xffe),
        ["instructions that reach into the next page"] = ($".half 0x0015\naddi s0, s0, 1\nadd t0, t0, t1\njr t0\n.org {Page + 0xffe}\n.half 0x0513", false, 0xffe),
        ["pages"] = ("addi s0, s0, 1\nadd t0, t0, t1\njr t0", false, 0),
        ["pages without an instruction"] = (".word 0", false, 0),
        ["blocks of a page"] = ($"addi s0, s0, 1\n{string.Concat(Enumerable.Range(0, 10).Select(i => $"beq zero, t1, b{i}\nb{i}: "))}add t0, t0, t1\njr t0", false, 0),
        ["accesses whose shared lookup fails"] = (
            "addi s0, s0, 1\nld a0, 0(a1)\nld a2, 8(a1)\nld a3, 16(a1)\nld a0, 0(a1)\nld a2, 8(a1)\nld a3, 16(a1)\nadd t0, t0, t1\njr t0", false, 0),
        ["code that is written anew"] = (
            "addi s0, s0, 1\nslli t2, s0, 20\nadd t2, t2, s3\nsw t2, 0(s2)\nfence.i\nj changed\nchanged: jr s4", false, 0),
    };

    public static TheoryData<string, string> Cases => [.. from engine in RiscVEngines.All from kind in Kinds.Keys select (engine, kind)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Process_OfAGuestThatMakesRecords_DoesNotGrow(string engine, string kind)
    {
        using BareMachine m = Prepare(engine, kind);
        Run(m, WarmUp);
        long before = MemoryOfProcess();
        Run(m, Rounds);
        Assert.InRange(MemoryOfProcess() - before, long.MinValue, MaxGrowth);
    }

    private static void Run(BareMachine m, ulong until)
    {
        while (m.State.X[8] < until)
            Assert.Equal(ExitReason.BudgetExhausted, m.Vcpu.Run(100_000).Reason);
    }

    private static long MemoryOfProcess()
    {
        GC.Collect();
        return Environment.WorkingSet;
    }

    private static BareMachine Prepare(string engine, string kind)
    {
        (string code, bool hasHoles, ulong start) = Kinds[kind];
        var m = new BareMachine(Engine(engine), "nop");
        // Sv48 in which every virtual address of the lower half leads to one page, or every second page does.
        for (ulong i = 0; i < 512; i++)
        {
            m.Write(Root + i * 8, Root + 0x1000 >> 2 | PageTables.V);
            m.Write(Root + 0x1000 + i * 8, Root + 0x2000 >> 2 | PageTables.V);
            m.Write(Root + 0x2000 + i * 8, Root + 0x3000 >> 2 | PageTables.V);
            m.Write(Root + 0x3000 + i * 8, hasHoles && i % 2 != 0 ? 0 : Page >> 2 | PageTables.All);
        }

        m.Write(Page, code);
        m.Write(Handler, "csrr t0, mepc\nadd t0, t0, t1\ncsrw mepc, t0\naddi s0, s0, 1\nmret");
        RiscVState state = m.State;
        (state.PmpAddress[0], state.PmpConfiguration[0], state.Satp) = (ulong.MaxValue >> 10, 0x1f, 9UL << 60 | Root >> 12);
        (state.Privilege, state.Pc, state.Mtvec) = (PrivilegeMode.Supervisor, start, Handler);
        (state.X[5], state.X[6]) = (start, hasHoles ? 0x2000UL : 0x1000);
        // Just before a page's end.
        state.X[11] = 0x1ff0;
        // Where code is written, with what, and where it goes on.
        (state.X[18], state.X[19], state.X[20]) = (0x800, BitConverter.ToUInt32(RiscVAssembler.Assemble("addi a0, a0, 0", 0)), 0x800);
        m.Write(Page + 0x800, "addi a0, a0, 0\njr s5");
        m.State = state;
        return m;
    }

    private static ExecutionEngine Engine(string name) => name switch
    {
        "translator" => new TranslatorEngine(new TranslatorOptions { CodeCacheSize = TranslatorOptions.MinCodeCacheSize }),
        "interpreter" => new InterpreterEngine { CodeCacheSize = 2 << 20 },
        "interpreter-loop" => new InterpreterEngine { Dispatch = InterpreterDispatch.Loop, CodeCacheSize = 2 << 20 },
        _ => RiscVEngines.Create(name),
    };
}
