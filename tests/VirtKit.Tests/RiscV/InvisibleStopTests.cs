using VirtKit.Devices;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>A deterministic machine that is stopped and goes on, any number of times, runs as one that ran through: same turns, same times, same bytes.</summary>
public sealed class InvisibleStopTests
{
    private const int Harts = 4, Entries = 3000;

    /// <summary>Every hart appends its name, the time and its own cycles to one log, in its loop and in its timer's handler; now and then it wakes its neighbour, and now and
    /// then it waits. The first one that finds the log full ends the machine.</summary>
    private static readonly string Guest = $"""
        csrr s0, mhartid
        li t0, 0x80000000
        slli t0, t0, 32
        csrw menvcfg, t0
        la t0, handler
        csrw mtvec, t0
        li t0, 0x28
        csrw mie, t0
        csrr t0, time
        addi t0, t0, 37
        csrw stimecmp, t0
        la s3, log
        la s4, count
        li s5, 0x2000000
        li s6, {Entries}
        addi s2, s0, 7
        csrsi mstatus, 8
        loop: li t0, 6364136223846793005
        mul s2, s2, t0
        addi s2, s2, 1441
        li t1, 1
        amoadd.d t2, t1, (s4)
        bge t2, s6, end
        slli t2, t2, 4
        add t2, t2, s3
        csrr t3, time
        slli t3, t3, 4
        or t3, t3, s0
        sd t3, 0(t2)
        csrr t3, mcycle
        sd t3, 8(t2)
        srli t1, s2, 60
        bnez t1, awake
        wfi
        awake: srli t1, s2, 55
        andi t1, t1, 15
        bnez t1, loop
        addi t1, s0, 1
        andi t1, t1, {Harts - 1}
        slli t1, t1, 2
        add t1, t1, s5
        li t2, 1
        sw t2, 0(t1)
        j loop
        handler: csrr t5, mcause
        andi t5, t5, 15
        li t6, 3
        beq t5, t6, woken
        csrr t5, time
        srli t6, s2, 57
        addi t6, t6, 9
        add t6, t5, t6
        csrw stimecmp, t6
        li a1, 1
        amoadd.d a2, a1, (s4)
        bge a2, s6, end
        slli a2, a2, 4
        add a2, a2, s3
        slli t5, t5, 4
        or t5, t5, s0
        ori t5, t5, 8
        sd t5, 0(a2)
        csrr t5, mcycle
        sd t5, 8(a2)
        mret
        woken: slli t5, s0, 2
        add t5, t5, s5
        sw zero, 0(t5)
        mret
        end: li t0, 0x1000
        sw zero, 0(t0)
        j end
        .align 8
        count: .dword 0
        log: .dword 0
        """;

    public static TheoryData<string, ulong> Cases => [.. from engine in RiscVEngines.All from quantum in (ulong[])[7, 100, 5000] select (engine, quantum)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_InPiecesOfAnyBudget_EndsInTheSameBytes(string engine, ulong quantum)
    {
        Random random = Seed.Random();
        AssertInvisible(engine, quantum, machine =>
        {
            VcpuExit exit;
            int pieces = 0;
            do
            {
                exit = machine.Run((ulong)random.Next(1, random.Next(4) == 0 ? 2000 : 50), TestContext.Current.CancellationToken);
                pieces++;
            }
            while (exit.Reason == ExitReason.BudgetExhausted);
            Assert.True(pieces > 100);
            return exit;
        });
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_StoppedAtRandomInstructions_EndsInTheSameBytes(string engine, ulong quantum)
    {
        Random random = Seed.Random();
        AssertInvisible(engine, quantum, machine =>
        {
            CancellationTokenSource cancellation = new();
            ClockTimer timer = null!;
            int stops = 0;
            using (timer = machine.Clock.CreateTimer(new object(), () =>
            {
                stops++;
                switch (random.Next(3))
                {
                    case 0:
                        cancellation.Cancel();
                        break;
                    case 1:
                        machine.RequestStop(new VcpuExit(ExitReason.Kicked));
                        break;
                    default:
                        machine.Vcpus[random.Next(Harts)].Kick();
                        break;
                }

                timer.Set(machine.Clock.Now + (ulong)random.Next(1, 3000));
            }))
            {
                timer.Set(100);
                while (true)
                {
                    VcpuExit exit = machine.Run(cancellation.Token);
                    if (exit.Reason != ExitReason.Kicked)
                    {
                        Assert.True(stops > 100);
                        return exit;
                    }

                    if (cancellation.IsCancellationRequested)
                    {
                        cancellation.Dispose();
                        cancellation = new();
                    }
                }
            }
        });
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_KickedAndCancelledByOtherThreads_EndsInTheSameBytes(string engine, ulong quantum) => AssertInvisible(engine, quantum, machine =>
    {
        using var end = new CancellationTokenSource();
        var kicker = new Thread(() =>
        {
            for (int i = 0; !end.IsCancellationRequested; i++)
            {
                if (i % 3 == 0)
                    machine.RequestStop(new VcpuExit(ExitReason.Kicked));
                else
                    machine.Vcpus[i % Harts].Kick();
                Thread.Yield();
            }
        });
        kicker.Start();
        VcpuExit exit;
        do
        {
            exit = machine.Run(TestContext.Current.CancellationToken);
        }
        while (exit.Reason == ExitReason.Kicked && !TestContext.Current.CancellationToken.IsCancellationRequested);
        end.Cancel();
        kicker.Join();
        return exit;
    });

    private static void AssertInvisible(string engine, ulong quantum, Func<Machine, VcpuExit> run) =>
        Assert.Equal(Run(engine, quantum, (machine, _) => machine.Run(TestContext.Current.CancellationToken)), Run(engine, quantum, (machine, _) => run(machine)));

    /// <param name="engine">The engine.</param>
    /// <param name="quantum">The quantum.</param>
    /// <param name="run">Runs the machine to its end.</param>
    /// <param name="waits">Whether harts wait now and then.</param>
    /// <returns>The log, what the harts hold at the end, and the time.</returns>
    internal static string Run(string engine, ulong quantum, Func<Machine, Aclint, VcpuExit> run, bool waits = true)
    {
        using var guest = new BareMachine(engine, waits ? Guest : Guest.Replace("wfi", "nop", StringComparison.Ordinal), Harts, quantum: quantum);
        Machine machine = guest.Machine;
        machine.Memory.Map(new Gpa(0x1000), new FakeDevice { Window = new("end", 0x1000), OnWrite = (_, _, _) => machine.RequestShutdown(0) });
        using var clint = new Aclint(machine.Clock, RiscVPlatform.Of(machine).Timebase, [.. machine.Vcpus.Select(v => v.Pin(3))], [.. machine.Vcpus.Select(v => v.Pin(7))]);
        machine.Memory.Map(new Gpa(0x200_0000), clint);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown), run(machine, clint));
        IEnumerable<string> log = Enumerable.Range(0, Entries).Select(i => $"{guest.Read(guest["log"] + (ulong)i * 16):x} {guest.Read(guest["log"] + (ulong)i * 16 + 8)}");
        IEnumerable<string> harts = machine.Vcpus.Select(v => $"{v.Counters.Retired} {v.Counters.Traps} {StateText.Of(v.GetState<RiscVState>())}");
        string all = string.Join('\n', [.. log, .. harts, $"{machine.Clock.Now}"]);
        // All harts took part, by timers and by messages; how many come from a thread of the host, that decides.
        Assert.All(machine.Vcpus, v => Assert.True(v.Counters.Traps > (waits ? 50UL : 10UL), $"{v.Counters}"));
        return all;
    }
}
