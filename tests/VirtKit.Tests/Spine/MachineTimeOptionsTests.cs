using System.Diagnostics;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

/// <summary>What becomes of time while a machine stands, while it idles, and at the end of all time.</summary>
public sealed class MachineTimeOptionsTests
{
    private static readonly VcpuExit PowerOff = new(ExitReason.Shutdown);

    /// <summary>An engine whose guest waits until a pin is asserted, and then powers off.</summary>
    private static FakeEngine Waiting => new(core =>
    {
        if (core.Pins != 0)
            return PowerOff;
        core.WaitForInterrupt();
        return null;
    });

    private static MachineOptions Options(FakeEngine engine, VcpuScheduling scheduling) =>
        new() { Architecture = new FakeArchitecture(), Engine = engine, Scheduling = scheduling };

    [Fact]
    public void HostTime_OfAMachineThatStands_IsHeldWithTimersAndCalendar()
    {
        using var machine = new Machine(Options(Waiting, VcpuScheduling.Threads));
        Assert.Equal(0UL, machine.Clock.Now);
        bool fired = false;
        using ClockTimer timer = machine.Clock.CreateTimer(new object(), () =>
        {
            fired = true;
            machine.Vcpus[0].Pin(0).Set(true);
        });
        using (var stop = new CancellationTokenSource(10))
            Assert.Equal(ExitReason.Kicked, machine.Run(stop.Token).Reason);
        ulong stopped = machine.Clock.Now, calendar = machine.Clock.CalendarNow;
        Assert.NotEqual(0UL, stopped);
        timer.Set(stopped + 20_000_000);
        Thread.Sleep(60);
        Assert.Equal((stopped, calendar, false), (machine.Clock.Now, machine.Clock.CalendarNow, fired));
        Assert.Equal(PowerOff, machine.Run(TestContext.Current.CancellationToken));
        Assert.True(fired);
        Assert.True(machine.Clock.Now >= stopped + 20_000_000);
        Assert.Equal(calendar - stopped, machine.Clock.CalendarNow - machine.Clock.Now);
    }

    [Fact]
    public void HostTime_ThatRunsOn_IsSeenWhenTheMachineGoesOn()
    {
        using var machine = new Machine(Options(Waiting, VcpuScheduling.Threads) with { StoppedTime = StoppedTime.RunsOn });
        bool fired = false;
        using ClockTimer timer = machine.Clock.CreateTimer(new object(), () =>
        {
            fired = true;
            machine.Vcpus[0].Pin(0).Set(true);
        });
        timer.Set(5_000_000);
        Thread.Sleep(20);
        Assert.True(machine.Clock.Now > 5_000_000);
        Assert.False(fired);
        Assert.Equal(PowerOff, machine.Run(TestContext.Current.CancellationToken));
        ulong stopped = machine.Clock.Now;
        Thread.Sleep(20);
        Assert.True(machine.Clock.Now >= stopped + 10_000_000);
    }

    [Fact]
    public void HostTime_ReadWhileTheMachineStartsAndStops_NeverGoesBack()
    {
        using var machine = new Machine(Options(new FakeEngine(_ => null), VcpuScheduling.Threads));
        using var end = new CancellationTokenSource();
        bool wentBack = false;
        var reader = new Thread(() =>
        {
            for (ulong last = 0; !end.IsCancellationRequested;)
            {
                ulong now = machine.Clock.Now;
                wentBack |= now < last;
                last = now;
            }
        });
        reader.Start();
        for (int i = 0; i < 3000; i++)
            machine.Vcpus[0].Run(10, TestContext.Current.CancellationToken);
        end.Cancel();
        reader.Join();
        Assert.False(wentBack);
    }

    [Fact]
    public void IdleTime_AtRealPace_PassesAsOnTheHost()
    {
        const ulong Wait = 60_000_000;
        foreach (IdleTime idle in Enum.GetValues<IdleTime>())
        {
            using var machine = new Machine(Options(Waiting, VcpuScheduling.Deterministic) with { IdleTime = idle });
            int ticks = 0;
            ClockTimer timer = null!;
            using (timer = machine.Clock.CreateTimer(new object(), () =>
            {
                if (++ticks == 6)
                    machine.Vcpus[0].Pin(0).Set(true);
                else
                    timer.Set(machine.Clock.Now + Wait / 6);
            }))
            {
                timer.Set(Wait / 6);
                long start = Stopwatch.GetTimestamp();
                Assert.Equal(PowerOff, machine.Run(TestContext.Current.CancellationToken));
                TimeSpan took = Stopwatch.GetElapsedTime(start);
                Assert.InRange(machine.Clock.Now, Wait, Wait + 1000);
                if (idle == IdleTime.RealTime)
                    Assert.True(took >= TimeSpan.FromMilliseconds(Wait / 1_000_000 - 2), $"{took}");
            }
        }
    }

    [Fact]
    public async Task IdleTime_AtRealPace_EndsWithAPostOrAStop()
    {
        using var machine = new Machine(Options(Waiting, VcpuScheduling.Deterministic) with { IdleTime = IdleTime.RealTime });
        using ClockTimer never = machine.Clock.CreateTimer(new object(), () => { });
        never.Set(1_000_000_000_000_000);
        Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
        machine.RequestShutdown(4);
        Assert.Equal(new VcpuExit(ExitReason.Shutdown, 4), await run.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
        run = machine.RunAsync(TestContext.Current.CancellationToken);
        machine.Clock.Post(new object(), () => machine.Vcpus[0].Pin(0).Set(true));
        Assert.Equal(PowerOff, await run.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
    }

    [Fact]
    public void VirtualTime_AtItsEnd_StandsStillAndTheGuestGoesOn()
    {
        var times = new List<ulong>();
        var engine = new FakeEngine(core =>
        {
            times.Add(core.Context.Clock.Now);
            times.Add(core.Context.Clock.CalendarNow);
            if (core.Retired == 0)
                core.WaitForInterrupt();
            return core.Retired == 300 ? PowerOff : null;
        });
        using Machine machine = engine.Compose(quantum: 50);
        int fired = 0;
        using ClockTimer far = machine.Clock.CreateTimer(new object(), () => machine.Vcpus[0].Pin(0).Set(true)), past = machine.Clock.CreateTimer(new object(), () => fired++),
            never = machine.Clock.CreateTimer(new object(), () => Assert.Fail("It never comes."));
        far.Set(ulong.MaxValue - 1000);
        never.Set(ulong.MaxValue);
        Assert.Equal(PowerOff, machine.Run(TestContext.Current.CancellationToken));
        Assert.Equal(ulong.MaxValue, machine.Clock.Now);
        Assert.Equal(times.Where((_, i) => i % 2 == 0), times.Where((_, i) => i % 2 == 0).Order());
        Assert.Equal(times.Where((_, i) => i % 2 == 1), times.Where((_, i) => i % 2 == 1).Order());
        // A deadline in the past comes once, also when time stands.
        past.Set(77);
        Assert.Equal(ExitReason.BudgetExhausted, machine.Run(100, TestContext.Current.CancellationToken).Reason);
        Assert.Equal(1, fired);
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void VirtualTime_MovedToItsEndByAGuest_GoesOnWithItsTimers(string engine)
    {
        // stimecmp at the last tick of the clock, then WFI; then deadlines behind it, in front of it and past 2^64.
        using var guest = new BareMachine(engine, """
            li t0, 0x80000000
            slli t0, t0, 32
            csrw menvcfg, t0
            li t0, 0x20
            csrw mie, t0
            li s0, 184467440737095515
            csrw stimecmp, s0
            wfi
            csrr s1, time
            csrw stimecmp, zero
            csrr s2, mip
            li t0, -2
            csrw stimecmp, t0
            csrr s3, mip
            csrr s4, time
            li t0, 0x1000
            sw zero, 0(t0)
            """);
        guest.Machine.Memory.Map(new Gpa(0x1000), new FakeDevice { Window = new("end", 0x1000), OnWrite = (_, _, _) => guest.Machine.RequestShutdown(0) });
        Assert.Equal(PowerOff, guest.Machine.Run(TestContext.Current.CancellationToken));
        RiscVState state = guest.State;
        Assert.Equal((0x20UL, 0UL), (state.X[18] & 0x20, state.X[19] & 0x20));
        Assert.True(state.X[9] >= state.X[8] && state.X[20] >= state.X[9], $"{state.X[8]} {state.X[9]} {state.X[20]}");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Timer_SetToNowInItsOwnCallback_HoldsNobodyUp(bool guestRuns)
    {
        // While the guest runs, it gets on; while it waits, the run can be stopped.
        var engine = new FakeEngine(core =>
        {
            if (!guestRuns)
                core.WaitForInterrupt();
            return core.Retired == 1000 ? PowerOff : null;
        });
        foreach (VcpuScheduling scheduling in Enum.GetValues<VcpuScheduling>())
        {
            using Machine machine = engine.Compose(1, scheduling);
            int fired = 0;
            ClockTimer timer = null!;
            using (timer = machine.Clock.CreateTimer(new object(), () =>
            {
                fired++;
                timer.Set(machine.Clock.Now);
            }))
            {
                timer.Set(0);
                Task<VcpuExit> run = machine.RunAsync(TestContext.Current.CancellationToken);
                while (!guestRuns && Volatile.Read(ref fired) < 10)
                    await Task.Delay(1, TestContext.Current.CancellationToken);
                if (!guestRuns)
                    machine.RequestShutdown(0);
                Assert.Equal(PowerOff, await run.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
            }
        }
    }

    [Theory]
    [InlineData("1900-01-01T00:00:00Z")]
    [InlineData("1969-12-31T23:59:59Z")]
    [InlineData("2200-01-01T00:00:01Z")]
    [InlineData("9999-12-31T23:59:59Z")]
    public void Constructor_WithACalendarOutOfRange_NamesIt(string start)
    {
        foreach (VcpuScheduling scheduling in Enum.GetValues<VcpuScheduling>())
        {
            MachineOptions options = Options(Waiting, scheduling) with { CalendarStart = DateTimeOffset.Parse(start, System.Globalization.CultureInfo.InvariantCulture) };
            Assert.Contains("CalendarStart", Assert.Throws<ArgumentOutOfRangeException>(() => new Machine(options)).ParamName, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("1970-01-01T00:00:00Z", 0UL)]
    [InlineData("2200-01-01T00:00:00Z", 7258118400000000000UL)]
    public void Calendar_AtTheEndsOfItsRange_IsRight(string start, ulong nanoseconds)
    {
        using var machine = new Machine(Options(Waiting, VcpuScheduling.Deterministic) with { CalendarStart = DateTimeOffset.Parse(start, System.Globalization.CultureInfo.InvariantCulture) });
        Assert.Equal(nanoseconds, machine.Clock.CalendarNow);
    }

    [Fact]
    public void Constructor_WithUnknownOptions_Throws()
    {
        MachineOptions options = Options(Waiting, VcpuScheduling.Deterministic);
        foreach (MachineOptions wrong in (MachineOptions[])[options with { IdleTime = (IdleTime)7 }, options with { StoppedTime = (StoppedTime)7 }, options with { WhenHalted = (HaltPolicy)7 }])
            Assert.Throws<ArgumentOutOfRangeException>(() => new Machine(wrong));
    }
}
