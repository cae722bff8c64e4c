using VirtKit.Devices;
using VirtKit.Devices.Boards;
using VirtKit.RiscV;
using VirtKit.Testing;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary><c>time</c> is a shadow of the board's <c>mtime</c>, on every hart (RV-Priv §3.2.1), and so is what is compared with it.</summary>
public sealed class MachineTimeTests
{
    private const ulong Far = 0x1234_5678_0000_0000, Results = 0x8010_0000;
    private const string Finish = """
        finish:
        li t0, 0x100000
        li t1, 0x5555
        sw t1, 0(t0)
        stop: j stop
        """;

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Mtime_Written_ShowsInTimeAndMovesTheComparisonsOfAllHarts(string engine)
    {
        // Hart 1 arms stimecmp in the future and waits; hart 0 writes mtime past it. Both note time, mip and mtime.
        ulong[] noted = Run(engine, $"""
            li s0, {Results}
            li s1, 0x200bff8
            li t0, 1
            slli t0, t0, 63
            csrw menvcfg, t0
            csrr a0, mhartid
            bnez a0, second
            li t0, {Far}
            csrw stimecmp, t0
            csrr t1, mip
            sd t1, 0(s0)
            li t0, {Far + 1}
            ready: ld t1, 64(s0)
            beqz t1, ready
            sd t0, 0(s1)
            csrr t1, time
            sd t1, 8(s0)
            ld t2, 0(s1)
            sd t2, 16(s0)
            csrr t1, mip
            sd t1, 24(s0)
            li t0, {Far + 0x10_0000_0000}
            csrw stimecmp, t0
            csrr t1, mip
            sd t1, 32(s0)
            seen: ld t1, 72(s0)
            beqz t1, seen
            sd zero, 0(s1)
            csrr t1, time
            sd t1, 40(s0)
            {Finish}
            second:
            li t0, {Far}
            csrw stimecmp, t0
            li t0, 0x20
            csrw mie, t0
            li t0, 1
            sd t0, 64(s0)
            again: wfi
            csrr t1, mip
            andi t1, t1, 0x20
            beqz t1, again
            csrr t1, time
            sd t1, 72(s0)
            forever: wfi
            j forever
            """, harts: 2);
        Assert.Equal(0ul, noted[0] & 0x20);
        Assert.InRange(noted[1], Far + 1, Far + 1_000_000);
        Assert.InRange(noted[2], noted[1], Far + 1_000_000);
        Assert.Equal(0x20ul, noted[3] & 0x20);
        Assert.Equal(0ul, noted[4] & 0x20);
        Assert.InRange(noted[5], 0ul, 1_000_000ul);
        Assert.InRange(noted[9], Far + 1, Far + 1_000_000);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Mtime_WrittenShortlyBeforeStimecmp_WakesTheHartThen(string engine)
    {
        ulong[] noted = Run(engine, $"""
            li s0, {Results}
            li s1, 0x200bff8
            li t0, 1
            slli t0, t0, 63
            csrw menvcfg, t0
            li t0, {Far}
            csrw stimecmp, t0
            li t0, 0x20
            csrw mie, t0
            li t0, {Far - 1000}
            sd t0, 0(s1)
            csrr t1, mip
            sd t1, 0(s0)
            wfi
            csrr t1, time
            sd t1, 8(s0)
            csrr t1, mip
            sd t1, 16(s0)
            {Finish}
            """);
        Assert.Equal(0ul, noted[0] & 0x20);
        Assert.InRange(noted[1], Far, Far + 100_000);
        Assert.Equal(0x20ul, noted[2] & 0x20);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Mtime_AfterTheMachinesReset_IsZeroAgainWithTime(string engine)
    {
        using RiscVVirt board = Build(engine, 1);
        string guest = $"""
            li s0, {Results}
            csrr t1, time
            sd t1, 0(s0)
            li s1, 0x200bff8
            li t0, {Far}
            sd t0, 0(s1)
            {Finish}
            """;
        for (int boot = 0; boot < 2; boot++)
        {
            Start(board, guest);
            Assert.InRange(Read(board, 0), 0ul, 10_000ul);
            board.Machine.Reset();
        }
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void SbiTimer_TimeSetByADevice_IsPendingByTheNewTime(string engine)
    {
        // A host's own device that sets the time reaches harts whose firmware we are.
        using var m = new BareMachine(engine, "again: csrr s0, sip\nj again", sbi: new SbiOptions());
        RiscVTimebase time = RiscVPlatform.Of(m.Machine).Timebase;
        RiscVState state = m.State;
        (state.Mideleg, state.Stimecmp) = (0x222, Far);
        m.State = state;
        Assert.Equal(0ul, Pending());
        time.Now = Far;
        Assert.Equal(1ul << 5, Pending());
        time.Now = Far - (1ul << 40);
        Assert.Equal(0ul, Pending());

        ulong Pending()
        {
            Assert.Equal(ExitReason.BudgetExhausted, m.Vcpu.Run(10).Reason);
            return m.State.X[8];
        }
    }

    [Theory]
    [InlineData(10_000_000u, 0ul, 5ul, 500ul)]
    [InlineData(10_000_000u, 100ul, 5ul, ulong.MaxValue)]
    [InlineData(10_000_000u, ulong.MaxValue, 5ul, 100ul)]
    [InlineData(10_000_000u, ulong.MaxValue - 4, ulong.MaxValue - 2, 200ul)]
    [InlineData(10_000_000u, 0ul, ulong.MaxValue, ulong.MaxValue)]
    [InlineData(10_000_000u, 0ul, 0ul, ulong.MaxValue)]
    [InlineData(32_768u, 0ul, 1ul, 30_518ul)]
    [InlineData(32_768u, ulong.MaxValue, 1ul, 30_518ul)]
    [InlineData(1u, 0ul, ulong.MaxValue, ulong.MaxValue)]
    public void IsReached_OfAComparison_SaysWhenItChangesOrNever(uint frequency, ulong now, ulong compare, ulong expected)
    {
        var time = new RiscVTimebase(new TestClock(), frequency) { Now = now };
        Assert.Equal(now >= compare, time.IsReached(compare, out ulong next));
        Assert.Equal(expected, next);
    }

    /// <summary>The host's time goes on between two looks at it, far where the host has other work: what is compared is due, or its timer is set.</summary>
    [Fact]
    public void Mtimecmp_ReachedWhileItIsCompared_IsNotMissed()
    {
        const int mtimecmp = 0x4000;
        var clock = new HastyClock();
        for (ulong ahead = 0; ahead < 10; ahead++)
        {
            var lines = new TestLines();
            using var aclint = new Aclint(clock, new RiscVTimebase(clock, 10_000_000), [lines[0]], [lines[1]]);
            ulong compare = clock.Now / 100 + ahead;
            aclint.Write(mtimecmp, 8, compare);
            Assert.True(lines.IsAsserted(1) || clock.Deadline <= compare * 100, $"{ahead} ticks ahead: nothing is due before {clock.Deadline}");
        }
    }

    /// <summary>The same for <c>stimecmp</c>: a guest that lives by timers of 1 µs, in the host's time.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Stimecmp_ReachedWhileItIsCompared_IsNotMissed(string engine)
    {
        using var m = new BareMachine(engine, """
            again:
                addi s0, s0, 1
                csrr a0, time
                addi a0, a0, 10
                li a7, 0x54494d45
                li a6, 0
                ecall
                wfi
                j again
            """, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads);
        m.State = m.State with { Mcounteren = 7, Mideleg = 0x222, Mie = 0x20 };
        ulong before = 0;
        for (int rounds = 0; rounds < 10; rounds++)
        {
            for (int turns = 0; turns < 100 && m.State.X[8] <= before; turns++)
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
                limit.CancelAfter(20);
                await m.Machine.RunAsync(limit.Token);
            }

            Assert.True(m.State.X[8] > before, $"It stands after {before} timers.");
            before = m.State.X[8];
        }
    }

    private static ulong[] Run(string engine, string guest, int harts = 1)
    {
        using RiscVVirt board = Build(engine, harts);
        Start(board, guest);
        return [.. Enumerable.Range(0, 10).Select(i => Read(board, i))];
    }

    private static RiscVVirt Build(string engine, int harts) => new(new RiscVVirtOptions
    {
        Machine = new MachineOptions { Architecture = new RiscVArchitecture(), Engine = RiscVEngines.Create(engine), VcpuCount = harts, Quantum = 1000 },
        MemorySize = 32 << 20,
    });

    private static void Start(RiscVVirt board, string guest)
    {
        board.BootFirmware(RiscVVirt.FirmwareAddress);
        board.Machine.Memory.Write(RiscVVirt.FirmwareAddress, RiscVAssembler.Assemble(guest, RiscVVirt.FirmwareAddress.Value));
        using var limit = new CancellationTokenSource(Hang.Limit);
        VcpuExit exit = board.Machine.Run(limit.Token);
        Assert.True(exit is { Reason: ExitReason.Shutdown, Code: 0 }, exit.ToString());
    }

    private static ulong Read(RiscVVirt board, int index)
    {
        Assert.True(board.Machine.Memory.TryRead(new Gpa(Results + (ulong)index * 8), out ulong value));
        return value;
    }

    /// <summary>A clock that goes on by a tick of 10 MHz whenever it is read, and remembers the last deadline.</summary>
    private sealed class HastyClock : MachineClock
    {
        private ulong _now;

        public override ulong Now => _now += 100;

        public override ulong CalendarNow => Now;

        public ulong Deadline { get; private set; } = ulong.MaxValue;

        public override ClockTimer CreateTimer(object gate, Action expired) => new Timer(this);

        public override void Post(object gate, Action action) => throw new NotSupportedException();

        private sealed class Timer(HastyClock clock) : ClockTimer
        {
            public override void Set(ulong deadline) => clock.Deadline = deadline;

            public override void Cancel() => clock.Deadline = ulong.MaxValue;
        }
    }
}
