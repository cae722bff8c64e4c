using System.Security.Cryptography;
using VirtKit.Accel.Translator.Checking;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>Loops as compilers make them that run into pages which are not there, not writable, or a device. A handler notes every register, makes the page usable and
/// returns: at every instruction the state is that of the interpreter, whatever the budgets by which it was reached.</summary>
public sealed class LoopTrapTests
{
    private const ulong Code = BareMachine.Ram + 0x1000, Pages = BareMachine.Ram + 0x10_0000, Log = BareMachine.Ram + 0x30_0000, Virtual = 0x4000_0000;
    private const ulong DevicePage = 0x1000_0000, EndDevice = 0x2000_0000;
    private const int LogEntry = 280, LongestBudget = 70;
    private const ulong FloatDirty = 3 << 13;

    private static readonly string[] Scratch = ["a0", "a2", "a3", "a4", "a5", "t0", "t3", "t5", "s3", "s10", "s11"];

    /// <summary>a1 and t4 begin near the end of the first page, sp near the end of the seventh; s2 counts down.</summary>
    private static readonly Dictionary<string, string> Loops = new()
    {
        ["loads"] = "ld a0, 0(a1)\nld a2, 8(a1)\nadd s4, s4, a0\nld a3, 16(a1)\nlw a4, 24(a1)\nlbu a5, 31(a1)\nadd s4, s4, a5\naddi a1, a1, 24",
        ["stores"] = "sd a0, 0(a1)\nsd a2, 8(a1)\naddi a0, a0, 3\nsd a3, 16(a1)\nsw a4, 28(a1)\nsb s2, 27(a1)\naddi a1, a1, 24",
        ["stores from registers that borrow"] =
            "sd t3, 0(t4)\nsd t5, 8(t4)\nsd s10, 16(t4)\nsw s11, 24(t4)\naddi t3, t3, 1\nxor t5, t5, t3\nadd s10, s10, t5\naddi t4, t4, 40",
        ["loads to registers that borrow"] =
            "ld t3, -8(t4)\nld t5, 0(t4)\nadd s10, t3, t5\nxor s11, s11, s10\nld s10, 8(t4)\nlhu s11, 22(t4)\nadd t3, s10, s11\naddi t4, t4, 24",
        ["copy"] = "ld t3, 0(a1)\nld t5, 8(a1)\nsd t3, 16(t4)\nsd t5, 24(t4)\naddi a1, a1, 16\naddi t4, t4, 48",
        ["misaligned"] = "ld a0, 3(a1)\nlw a2, 11(a1)\nsd a0, 5(t4)\nsh a2, 13(t4)\naddi a1, a1, 23\naddi t4, t4, 37",
        ["down"] = "ld a0, -8(a1)\nld a2, -16(a1)\nsd a0, 0(sp)\nsd a2, 8(sp)\naddi a1, a1, 24\naddi sp, sp, -56",
        ["floating point"] =
            "fld fa0, 0(t4)\nfld ft4, 8(t4)\nflw fs2, 16(t4)\nfsd fa0, 512(t4)\nfsw fs2, 520(t4)\nfsd ft4, 528(t4)\nadd t3, t3, t5\nadd t5, t5, s10\naddi t4, t4, 24",
        ["base overwritten"] = "mv a6, a1\nld a0, 0(a6)\nld a6, 8(a6)\nadd s4, s4, a6\naddi a1, a1, 16",
        ["computed addresses"] = "and a6, s4, s5\nadd a6, a6, a1\nld a0, 0(a6)\nadd s4, s4, a0\nslli a7, s4, 3\nand a7, a7, s5\nadd a7, a7, t4\nsd s4, 0(a7)\naddi a1, a1, 120",
        ["atomics"] = "ld a0, 0(a1)\nld a2, 8(a1)\namoadd.d a3, a0, (a1)\namomax.w a4, a2, (a1)\nlr.d a5, (a1)\nsc.d a5, a3, (a1)\naddi a1, a1, 24",
        ["calls"] = "call function\naddi sp, sp, -24",
        ["counters"] = "ld a0, 0(a1)\nld a2, 8(a1)\nsd a2, 16(a1)\ncsrr a3, instret\nsd a3, 24(a1)\naddi a1, a1, 40",
    };

    public static TheoryData<string, string> Cases => [.. from engine in RiscVEngines.All from loop in Loops.Keys select (engine, loop)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_WithEveryBudget_IsAtEachInstructionWhereTheInterpreterIs(string engine, string loop)
    {
        List<RiscVState> expected = [];
        string memory;
        ulong traps;
        using (BareMachine m = Prepare("interpreter-loop", loop))
        {
            do
                expected.Add(m.State);
            while (m.Vcpu.Run(1).Reason == ExitReason.BudgetExhausted && expected.Count < 20_000);
            expected.Add(m.State);
            (memory, traps) = (Memory(m), m.Vcpu.Counters.Traps);
        }

        Assert.InRange(traps, 2UL, 2000UL);
        for (ulong budget = 1; budget <= LongestBudget; budget++)
        {
            using BareMachine m = Prepare(engine, loop);
            VcpuExit exit;
            do
            {
                exit = m.Vcpu.Run(budget);
                int at = (int)m.Vcpu.Counters.Retired;
                if (StateText.Difference(expected[at], m.State) is { } difference)
                    Assert.Fail($"With budgets of {budget}, behind {at} instructions, pc {expected[at].Pc:x}: {difference}");
            }
            while (exit.Reason == ExitReason.BudgetExhausted);
            Assert.Equal((ExitReason.Halted, traps, memory), (exit.Reason, m.Vcpu.Counters.Traps, Memory(m)));
        }
    }

    /// <summary>The timer interrupts wherever its time comes; the handler sees every register there.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_WithTimerInterrupts_TakesThePathOfTheInterpreter(string engine, string loop)
    {
        foreach (ulong quantum in (ReadOnlySpan<ulong>)[100_000, 37])
            Assert.Equal(Timed("interpreter-loop", loop, quantum), Timed(engine, loop, quantum));
    }

    private static string Timed(string engine, string loop, ulong quantum)
    {
        using BareMachine m = Prepare(engine, loop, quantum);
        RiscVState state = m.State;
        (state.Mie, state.Mideleg, state.Menvcfg, state.Stimecmp) = (1 << 5, 0, 1UL << 63, 3);
        m.State = state;
        m.Machine.Memory.Map(new Gpa(EndDevice), new FakeDevice { OnWrite = (_, _, _) => m.Machine.RequestShutdown(0) });
        using var limit = new CancellationTokenSource(Hang.Limit);
        VcpuExit exit = m.Machine.Run(limit.Token);
        Assert.True(exit.Reason == ExitReason.Shutdown, $"{exit}\n{StateText.Of(m.State)}");
        Assert.True(m.Vcpu.Counters.Traps > 10);
        return $"{m.Vcpu.Counters.Retired} {m.Vcpu.Counters.Traps} {Memory(m)}\n{StateText.Of(m.State)}";
    }

    /// <summary>What the handler noted, and the pages.</summary>
    private static string Memory(BareMachine m)
    {
        var memory = new byte[0x9_0000];
        m.Machine.Memory.Read(new Gpa(Log), memory.AsSpan(0, 0x8_0000));
        m.Machine.Memory.Read(new Gpa(Pages), memory.AsSpan(0x8_0000));
        return Convert.ToHexString(SHA256.HashData(memory));
    }

    private static BareMachine Prepare(string engine, string loop, ulong quantum = 100_000)
    {
        var m = new BareMachine(engine, "nop", quantum: quantum);
        var tables = new PageTables(m, 3);
        tables.Map(Code, Code, PageTables.All);
        ulong entry = tables.Map(Virtual, Pages, PageTables.All);
        tables.Map(Virtual + 0x1000, Pages + 0x1000, PageTables.All & ~PageTables.W);
        tables.Map(Virtual + 0x3000, DevicePage, PageTables.All);
        ulong accesses = 0;
        m.Machine.Memory.Map(new Gpa(DevicePage), new FakeDevice
        {
            Window = new("counts", 0x1000), OnRead = (offset, size) => offset * 5 + (ulong)size + ++accesses, OnWrite = (offset, _, value) => accesses += offset ^ value,
        });
        for (ulong i = 0; i < 0x1_0000; i += 8)
            m.Write(Pages + i, i * 0x9e37_79b9_7f4a_7c15);
        m.Write(Code, $"""
            li a1, {Virtual + 0xfc0}
            li t4, {Virtual + 0x1f80}
            li sp, {Virtual + 0x7040}
            li s5, 0x1ff8
            li s2, 400
            {string.Join('\n', Scratch.Select((register, i) => $"li {register}, {i * 77 + 5}"))}
            loop: {Loops[loop]}
            addi s2, s2, -1
            bnez s2, loop
            ecall
            function: addi sp, sp, -48
            sd ra, 40(sp)
            sd s0, 32(sp)
            sd s3, 24(sp)
            sd s4, 16(sp)
            addi s0, s0, 7
            add s3, s3, s0
            ld s4, 16(sp)
            ld a0, 24(sp)
            ld s0, 32(sp)
            ld ra, 40(sp)
            addi sp, sp, 48
            ret
            """);
        m.Write(BareMachine.Ram, Handler(entry));
        RiscVState state = m.State;
        (state.PmpAddress[0], state.PmpConfiguration[0], state.Satp) = (ulong.MaxValue >> 10, 0x1f, tables.Satp);
        (state.Privilege, state.Pc, state.Mtvec, state.Mscratch) = (PrivilegeMode.Supervisor, Code, BareMachine.Ram, Log);
        (state.Mstatus, state.Stimecmp, state.Mcounteren) = (FloatDirty, ulong.MaxValue, 7);
        m.State = state;
        return m;
    }

    private static string Handler(ulong entry) => $"""
        csrrw gp, mscratch, gp
        {string.Join('\n', Enumerable.Range(1, 31).Where(i => i != 3).Select(i => $"sd {OperandEncoder.Registers[i]}, {8 * i}(gp)"))}
        csrr t0, mscratch
        sd t0, 24(gp)
        csrr t0, mcause
        sd t0, 0(gp)
        csrr t1, mepc
        sd t1, 256(gp)
        csrr t1, mtval
        sd t1, 264(gp)
        csrr t1, mcycle
        sd t1, 272(gp)
        blt t0, zero, timer
        li t2, 9
        beq t0, t2, end
        andi t2, t0, 8
        beqz t2, skip
        # The page becomes usable.
        csrr t1, mtval
        li t2, {Virtual}
        sub t1, t1, t2
        srli t1, t1, 12
        slli t2, t1, 10
        li t3, {Pages >> 2 | PageTables.All}
        add t2, t2, t3
        slli t1, t1, 3
        li t3, {entry}
        add t1, t1, t3
        sd t2, 0(t1)
        csrr t1, mtval
        sfence.vma t1, zero
        j return
        timer: csrr t1, time
        ld t2, 144(gp)
        andi t2, t2, 7
        add t1, t1, t2
        addi t1, t1, 4
        csrw stimecmp, t1
        j return
        # What a device does not do.
        skip: csrr t1, mepc
        addi t1, t1, 4
        csrw mepc, t1
        return: ld t0, 40(gp)
        ld t1, 48(gp)
        ld t2, 56(gp)
        ld t3, 224(gp)
        addi gp, gp, {LogEntry}
        csrrw gp, mscratch, gp
        mret
        end: csrr t0, mie
        beqz t0, wait
        li t0, {EndDevice}
        sw zero, 0(t0)
        wait: wfi
        j wait
        """;
}
