using System.Runtime.CompilerServices;
using VirtKit.State;
using VirtKit.Tests.Support;
using VirtKit.Time;

namespace VirtKit.Tests.Spine;

public sealed class ClockTests
{
    [Fact]
    public void TimerQueue_TimersThatAreForgotten_LeaveNoListWithoutEnd()
    {
        var queue = new TimerQueue();
        int fired = 0;
        using ClockTimer first = queue.Create(this, () => fired++);
        for (int round = 0; round < 100; round++)
        {
            Forget();
            GC.Collect();
        }

        using ClockTimer last = queue.Create(this, () => fired += 10);
        Assert.InRange(queue.Numbers, 2, 5000);
        // The ones that are there keep their numbers.
        (ulong one, ulong other) = (50, 40);
        first.Set(one);
        last.Set(other);
        var saved = new StateWriter();
        queue.Visit(saved);
        first.Cancel();
        last.Set(99);
        queue.Visit(new StateReader(saved.Written));
        queue.Fire(45);
        Assert.Equal(10, fired);
        queue.Fire(50);
        Assert.Equal(11, fired);

        [MethodImpl(MethodImplOptions.NoInlining)]
        void Forget()
        {
            for (int i = 0; i < 1000; i++)
                queue.Create(this, () => { }).Dispose();
        }
    }

    [Fact]
    public void TimerQueue_Fire_RunsWhatIsDueInOrderOfDeadlineThenOfSetting()
    {
        var queue = new TimerQueue();
        var fired = new List<string>();
        ClockTimer Timer(string name) => queue.Create(this, () => fired.Add(name));
        using ClockTimer late = Timer("late"), first = Timer("first"), second = Timer("second"), cancelled = Timer("cancelled");
        late.Set(30);
        cancelled.Set(5);
        second.Set(40);
        first.Set(10);
        second.Set(10);
        cancelled.Cancel();
        Assert.Equal(10UL, queue.NextDeadline);
        queue.Fire(9);
        Assert.Empty(fired);
        queue.Fire(29);
        Assert.Equal(["first", "second"], fired);
        queue.Fire(30);
        Assert.Equal(["first", "second", "late"], fired);
        Assert.Equal(ulong.MaxValue, queue.NextDeadline);
    }

    [Fact]
    public void TimerQueue_Set_TellsOnlyOfTheEarliest()
    {
        var queue = new TimerQueue();
        int told = 0;
        queue.EarliestChanged += () => told++;
        using ClockTimer a = queue.Create(this, () => { }), b = queue.Create(this, () => { });
        a.Set(10);
        b.Set(20);
        Assert.Equal(1, told);
        b.Set(5);
        Assert.Equal(2, told);
    }

    [Fact]
    public void TimerQueue_CallbackThatSetsItsTimer_FiresAgainInTheNextCall()
    {
        var queue = new TimerQueue();
        int count = 0;
        ClockTimer timer = null!;
        timer = queue.Create(this, () =>
        {
            if (++count < 3)
                timer.Set(0);
        });
        timer.Set(0);
        for (int call = 1; call <= 4; call++)
        {
            queue.Fire(2);
            Assert.Equal(Math.Min(call, 3), count);
        }
    }

    [Fact]
    public void TimerQueue_Callback_RunsUnderItsGate()
    {
        var queue = new TimerQueue();
        object gate = new();
        bool held = false;
        using ClockTimer timer = queue.Create(gate, () => held = Monitor.IsEntered(gate));
        timer.Set(0);
        queue.Fire(0);
        Assert.True(held);
    }

    [Fact]
    public void VirtualClock_Slice_EndsAtTheDeadlineRoundedUp()
    {
        var clock = new VirtualClock(10, DateTimeOffset.UnixEpoch);
        Assert.Equal(100UL, clock.Slice(100));
        using ClockTimer timer = clock.CreateTimer(this, () => { });
        timer.Set(95);
        Assert.Equal(10UL, clock.Slice(100));
        Assert.Equal(4UL, clock.Slice(4));
        timer.Set(0);
        Assert.Equal(1UL, clock.Slice(100));
        timer.Set(ulong.MaxValue - 1);
        Assert.Equal(100UL, clock.Slice(100));
    }

    [Fact]
    public void VirtualClock_SkipToNextDeadline_JumpsAndNeverGoesBack()
    {
        var clock = new VirtualClock(10, DateTimeOffset.UnixEpoch + TimeSpan.FromSeconds(1));
        Assert.False(clock.SkipToNextDeadline());
        ulong seen = 0;
        using ClockTimer timer = clock.CreateTimer(this, () => seen = clock.Now);
        timer.Set(12345);
        Assert.True(clock.SkipToNextDeadline());
        Assert.Equal(12345UL, seen);
        timer.Set(5);
        Assert.True(clock.SkipToNextDeadline());
        Assert.Equal(12345UL, clock.Now);
        Assert.Equal(1_000_012_345UL, clock.CalendarNow);
    }

    [Fact]
    public void VirtualClock_DuringARun_CountsInstructionsExactly()
    {
        var times = new List<ulong>();
        var engine = new FakeEngine(core =>
        {
            times.Add(core.Context.Clock.Now);
            return times.Count == 5 ? new VcpuExit(ExitReason.Shutdown) : null;
        });
        using Machine machine = engine.Compose();
        machine.Run();
        Assert.Equal([0UL, 10UL, 20UL, 30UL, 40UL], times);
    }

    [Fact]
    public void VirtualClock_TimerSetFromInsideASlice_FiresAtItsInstruction()
    {
        ulong firedAt = 0;
        ClockTimer? timer = null;
        Machine machine = null!;
        var engine = new FakeEngine(core =>
        {
            if (core.Retired == 3)
                timer!.Set(core.Context.Clock.Now + 70);
            return core.Retired == 50 ? new VcpuExit(ExitReason.Shutdown) : null;
        });
        using (machine = engine.Compose(quantum: 1000))
        {
            timer = machine.Clock.CreateTimer(this, () => firedAt = engine.Cores[0].Retired);
            machine.Run();
        }

        Assert.Equal(10UL, firedAt);
    }

    [Fact]
    public void HostClock_Timer_FiresOnceNotBeforeItsDeadline()
    {
        using var clock = Running();
        using var fired = new ManualResetEventSlim();
        ulong at = 0;
        int count = 0;
        using ClockTimer timer = clock.CreateTimer(this, () =>
        {
            at = clock.Now;
            count++;
            fired.Set();
        });
        ulong deadline = clock.Now + 20_000_000;
        timer.Set(deadline);
        Assert.True(fired.Wait(Hang.Limit, TestContext.Current.CancellationToken));
        Assert.True(at >= deadline);
        Thread.Sleep(50);
        Assert.Equal(1, count);
    }

    [Fact]
    public void HostClock_EarlierDeadlineSetLater_IsServedFirst()
    {
        using var clock = Running();
        using var fired = new ManualResetEventSlim();
        using ClockTimer far = clock.CreateTimer(this, () => { }), near = clock.CreateTimer(this, fired.Set);
        far.Set(ulong.MaxValue - 1);
        Thread.Sleep(20);
        near.Set(clock.Now);
        Assert.True(fired.Wait(Hang.Limit, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task HostClock_Dispose_EndsItsThreadWithTimersSet()
    {
        var clock = Running();
        using ClockTimer timer = clock.CreateTimer(this, () => { });
        timer.Set(ulong.MaxValue - 1);
        await Task.Run(clock.Dispose, TestContext.Current.CancellationToken).WaitAsync(Hang.Limit, TestContext.Current.CancellationToken);
    }

    private static HostClock Running()
    {
        var clock = new HostClock(DateTimeOffset.UnixEpoch, holds: false);
        clock.Start();
        return clock;
    }
}
