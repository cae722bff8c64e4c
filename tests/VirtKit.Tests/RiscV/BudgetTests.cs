using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

public sealed class BudgetTests
{
    /// <summary>Loops, traps, calls, memory, and an instruction that crosses a page.</summary>
    private static readonly string Busy = $"""
        la t0, handler
        csrw mtvec, t0
        la s1, data
        loop: addi s0, s0, 1
        andi t1, s0, 7
        bnez t1, even
        ecall
        .word 0xffffffff
        even: sd s0, 0(s1)
        ld t2, 0(s1)
        call far
        mul s2, s0, t2
        j loop
        handler: csrr t3, mepc
        addi t3, t3, 4
        csrw mepc, t3
        mret
        .org {BareMachine.Ram + 0xff8}
        far: nop
        .half 1
        addi s3, s3, 1
        ret
        .align 8
        data: .dword 0
        """;

    private static readonly string[] Loops = ["l: j l", "l: beqz zero, l", "la t0, l\nl: jr t0", "la t0, h\ncsrw mtvec, t0\nl: ecall\nj l\nh: mret"];

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Run_WithAnyBudget_RetiresExactlyThatMany(string engine)
    {
        Random random = Seed.Random();
        using var pieces = new BareMachine(engine, Busy);
        using var whole = new BareMachine(engine, Busy);
        ulong total = 0;
        for (int i = 0; i < 2000; i++)
        {
            ulong budget = random.Next(4) == 0 ? (ulong)random.Next(1, 500) : (ulong)random.Next(1, 12);
            Assert.Equal(ExitReason.BudgetExhausted, pieces.Vcpu.Run(budget).Reason);
            total += budget;
            Assert.Equal(total, pieces.Vcpu.Counters.Retired);
        }

        whole.Vcpu.Run(total);
        Assert.Equal(StateText.Of(whole.State), StateText.Of(pieces.State));
        Assert.True(pieces.Vcpu.Counters.Traps > 10);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Run_WaitForInterrupt_HaltsAndCounts(string engine)
    {
        using var machine = new BareMachine(engine, "nop\nwfi\nnop");
        VcpuExit exit = machine.Vcpu.Run(100);
        Assert.Equal(ExitReason.Halted, exit.Reason);
        Assert.Equal(2UL, machine.Vcpu.Counters.Retired);
        Assert.Equal(BareMachine.Ram + 8, machine.State.Pc);
        Assert.Equal(ExitReason.Halted, machine.Vcpu.Run(100).Reason);
        Assert.Equal(2UL, machine.Vcpu.Counters.Retired);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Run_EndlessLoop_IsStoppedByKickAndByCancellation(string engine)
    {
        foreach (string loop in Loops)
        {
            using var machine = new BareMachine(engine, loop);
            Task<VcpuExit> run = Task.Run(() => machine.Vcpu.Run());
            await Task.Delay(20, TestContext.Current.CancellationToken);
            machine.Vcpu.Kick();
            Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Hang.Limit, TestContext.Current.CancellationToken)).Reason);
            using var cancelled = new CancellationTokenSource(20);
            run = Task.Run(() => machine.Vcpu.Run(cancellationToken: cancelled.Token));
            Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Hang.Limit, TestContext.Current.CancellationToken)).Reason);
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Run_HandlerThatTrapsItself_EndsWithFault(string engine)
    {
        using var illegal = new BareMachine(engine, "la t0, h\ncsrw mtvec, t0\necall\nh: .word 0xffffffff");
        Assert.Equal(ExitReason.Fault, illegal.Vcpu.Run().Reason);
        using var nowhere = new BareMachine(engine, "li t0, 0x1000\ncsrw mtvec, t0\ncall: ecall");
        VcpuExit exit = nowhere.Vcpu.Run();
        Assert.Equal(new VcpuExit(ExitReason.Fault, 1), exit with { Detail = null, FirstTrap = null });
        Assert.Equal((11UL, new Gva(nowhere["call"])), (exit.FirstTrap!.Value.Cause, exit.FirstTrap.Value.Pc));
        Assert.Equal(0x1000UL, nowhere.State.Mtval);
    }
}
