using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>A stop from another thread leaves a hart in the state that its count of retired instructions says, and in no other one: a trap does not retire.</summary>
public sealed class StopStateTests
{
    /// <summary>Nothing but traps of several kinds, one right behind the other, and a timer that is due now and then.</summary>
    private const string Traps = """
            la t0, handler
            csrw mtvec, t0
            li s1, 0
        again:
            ecall
            .word 0
            lw t1, 1(zero)
            ecall
            ebreak
            addi s1, s1, 1
            j again
        .align 4
        handler:
            csrr t0, mepc
            addi t0, t0, 4
            csrw mepc, t0
            addi s2, s2, 1
            mret
        """;

    public static TheoryData<string> Engines => [.. RiscVEngines.All];

    [Theory]
    [MemberData(nameof(Engines))]
    public void Stop_AmongTraps_IsWhereABudgetOfAsManyInstructionsEnds(string engine)
    {
        Random random = Seed.Random();
        using var stopped = new BareMachine(engine, Traps);
        using var counted = new BareMachine("interpreter", Traps);
        bool ends = false;
        var kicker = new Thread(() =>
        {
            while (!Volatile.Read(ref ends))
            {
                stopped.Machine.RequestStop(new VcpuExit(ExitReason.Kicked));
                Thread.SpinWait(random.Next(3000));
            }
        });
        kicker.IsBackground = true;
        kicker.Start();
        for (int i = 0; i < 3000; i++)
        {
            ulong before = stopped.Machine.Retired;
            Assert.Equal(ExitReason.Kicked, stopped.Machine.Run(TestContext.Current.CancellationToken).Reason);
            ulong retired = stopped.Machine.Retired - before;
            if (retired != 0)
                counted.Machine.Run(retired, TestContext.Current.CancellationToken);
            Assert.Equal(BareMachine.Describe(counted.State), BareMachine.Describe(stopped.State));
        }

        Volatile.Write(ref ends, true);
        kicker.Join();
        Assert.True(stopped.Machine.Retired > 3000, $"{stopped.Machine.Retired} instructions");
    }
}
