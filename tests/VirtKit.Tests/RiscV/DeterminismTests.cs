using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

public sealed class DeterminismTests
{
    /// <summary>Each hart mixes its random numbers into a shared table with AMOs, and is interrupted by its timer every few hundred ticks, when it notes the time.
    /// After 200 interrupts it adds itself to the finished ones; hart 0 ends the machine by a reset through the device at 0x1000.</summary>
    private const string Guest = """
        csrr s0, mhartid
        li t0, 0x80000000
        slli t0, t0, 32
        csrw menvcfg, t0
        la t0, handler
        csrw mtvec, t0
        li s1, 200
        li t0, 0x20
        csrw mie, t0
        csrr t0, time
        addi t0, t0, 100
        csrw stimecmp, t0
        csrsi mstatus, 8
        addi s2, s0, 7
        la s3, table
        loop: li t0, 6364136223846793005
        mul s2, s2, t0
        addi s2, s2, 1441
        srli t1, s2, 55
        andi t1, t1, 0xf8
        add t1, t1, s3
        amoadd.d t2, s2, (t1)
        xor s2, s2, t2
        blt zero, s1, loop
        csrci mstatus, 8
        la t0, done
        li t1, 1
        amoadd.d t2, t1, (t0)
        bnez s0, sleep
        la t4, harts
        ld t5, 0(t4)
        wait: ld t2, 0(t0)
        bne t2, t5, wait
        li t0, 0x1000
        sw zero, 0(t0)
        sleep: wfi
        j sleep
        handler: csrr t5, time
        xor s2, s2, t5
        andi t6, s2, 63
        addi t6, t6, 50
        add t5, t5, t6
        csrw stimecmp, t5
        addi s1, s1, -1
        mret
        .align 8
        harts: .dword 0
        done: .dword 0
        table: .zero 256
        """;

    public static TheoryData<string, int> Cases => [.. from engine in RiscVEngines.All from vcpus in Enumerable.Range(0, 2) select (engine, 1 + 2 * vcpus)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Machine_RunTwice_TakesTheSamePath(string engine, int vcpus) => Assert.Equal(Run(engine, vcpus), Run(engine, vcpus));

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Machine_OnEveryEngine_TakesTheSamePath(int vcpus) => Assert.Single(RiscVEngines.All.Select(engine => Run(engine, vcpus)).Distinct());

    private static string Run(string engine, int vcpus)
    {
        using var guest = new BareMachine(engine, Guest, vcpus, quantum: 1000);
        guest.Write(guest["harts"], (ulong)vcpus);
        guest.Machine.Memory.Map(new Gpa(0x1000), new FakeDevice { Window = new("end", 0x1000), OnWrite = (_, _, _) => guest.Machine.RequestShutdown(0) });
        using var limit = new CancellationTokenSource(Hang.Limit);
        VcpuExit exit = guest.Machine.Run(limit.Token);
        Assert.True(exit.Reason == ExitReason.Shutdown, string.Join('\n', guest.Machine.Vcpus.Select(v => $"{exit} hart {v.Index}: {v.Counters} {StateText.Of(v.GetState<RiscVState>())}")));
        var table = Enumerable.Range(0, 32).Select(i => guest.Read(guest["table"] + (ulong)i * 8));
        return string.Join('\n', guest.Machine.Vcpus.Select(v => v.Counters.Retired + " " + StateText.Of(v.GetState<RiscVState>()))) + string.Join(' ', table);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void State_MovedBetweenEnginesInTheMiddle_GoesOnAsIfItHadNot(string engine)
    {
        using var straight = new BareMachine(engine, Mover);
        straight.Vcpu.Run(20_000);
        using var first = new BareMachine(engine, Mover);
        BareMachine current = first;
        foreach (string other in RiscVEngines.All.Concat(RiscVEngines.All))
        {
            // The last one runs what is left.
            current.Vcpu.Run(3_001);
            var next = new BareMachine(other, Mover);
            var memory = new byte[0x10000];
            current.Machine.Memory.Read(new Gpa(BareMachine.Ram), memory);
            next.Machine.Memory.Write(new Gpa(BareMachine.Ram), memory);
            next.State = current.State;
            Assert.Equal(StateText.Of(current.State), StateText.Of(next.State));
            if (!ReferenceEquals(current, first))
                current.Dispose();
            current = next;
        }

        current.Vcpu.Run(20_000 - 3_001 * 2 * (ulong)RiscVEngines.All.Count());
        Assert.Equal(StateText.Of(straight.State), StateText.Of(current.State));
        Assert.Equal(straight.Read(straight["data"]), current.Read(straight["data"]));
        current.Dispose();
    }

    private const string Mover = """
        li t0, 0x6000
        csrs mstatus, t0
        la s1, data
        li t0, 3
        fcvt.d.l fa0, t0
        loop: addi s0, s0, 1
        fcvt.d.l fa1, s0
        fdiv.d fa2, fa1, fa0
        fadd.d fa3, fa3, fa2
        fmv.x.d t1, fa3
        xor s2, s2, t1
        lr.d t2, (s1)
        add t2, t2, s2
        sc.d t3, t2, (s1)
        csrr t4, instret
        add s3, s3, t4
        j loop
        .align 8
        data: .dword 0
        """;
}
