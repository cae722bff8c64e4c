using System.Diagnostics;
using VirtKit.Sandboxing;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Sandboxing;

/// <summary>What ends a call, and what is there afterwards: traps, limits, failures of the host, disposal.</summary>
public class SandboxLimitTests
{
    public static TheoryData<string> Engines => RiscVEngines.Names;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Budget_UsedUp_EndsBehindTheSameInstruction(string engine)
    {
        using Sandbox sandbox = Create(engine).WithBudget(100_003).Build();
        var limit = Assert.Throws<SandboxLimitException>(() => sandbox.Call("spin"));
        Assert.Equal(SandboxLimit.Budget, limit.Limit);
        Assert.Equal(100_003UL, sandbox.Usage.Instructions);
        Assert.Throws<InvalidOperationException>(() => sandbox.Call<int>("add", 1, 2));
        sandbox.Reset();
        Assert.Equal(3, sandbox.Call<int>("add", 1, 2));
        Assert.Equal(100_005UL, sandbox.Usage.Instructions);
        // A function of two instructions may have two.
        sandbox.Budget = 2;
        Assert.Equal(3, sandbox.Call<int>("add", 1, 2));
        sandbox.Budget = 1;
        Assert.Throws<SandboxLimitException>(() => sandbox.Call<int>("add", 1, 2));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Budget_OfCallsWithinACall_IsOne(string engine)
    {
        using Sandbox sandbox = Create(engine).Build();
        sandbox.Call<long>("nest", 5L);
        ulong used = sandbox.Usage.Instructions;
        sandbox.Budget = used;
        Assert.Equal(16, sandbox.Call<long>("nest", 5L));
        sandbox.Budget = used - 1;
        Assert.Equal(SandboxLimit.Budget, Assert.Throws<SandboxLimitException>(() => sandbox.Call<long>("nest", 5L)).Limit);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Deadline_Passed_EndsTheCall(string engine)
    {
        using Sandbox sandbox = Create(engine).WithDeadline(TimeSpan.FromMilliseconds(20)).Build();
        Assert.Equal(SandboxLimit.Deadline, Assert.Throws<SandboxLimitException>(() => sandbox.Call("spin")).Limit);
        sandbox.Reset();
        Assert.Equal(3, sandbox.Call<int>("add", 1, 2));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Cancellation_FromAnotherThread_EndsTheCall(string engine)
    {
        using Sandbox sandbox = Create(engine).Build();
        using var source = new CancellationTokenSource();
        sandbox.Cancellation = source.Token;
        Task run = Task.Run(() => sandbox.Call("spin"), TestContext.Current.CancellationToken);
        source.CancelAfter(20);
        Assert.Equal(source.Token, (await Assert.ThrowsAsync<OperationCanceledException>(() => run)).CancellationToken);
        sandbox.Cancellation = default;
        Assert.Throws<InvalidOperationException>(() => sandbox.Call("nothing"));
        sandbox.Reset();
        sandbox.Call("nothing");
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Reentry_TooDeep_EndsEveryCall(string engine)
    {
        using Sandbox sandbox = Create(engine).WithReentry(3).Build();
        Assert.Equal(7, sandbox.Call<long>("nest", 3L));
        Assert.Equal(SandboxLimit.Reentry, Assert.Throws<SandboxLimitException>(() => sandbox.Call<long>("nest", 4L)).Limit);
        sandbox.Reset();
        Assert.Equal(7, sandbox.Call<long>("nest", 3L));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Arguments_LargerThanMemory_AreRefused(string engine)
    {
        using Sandbox sandbox = Create(engine).WithMemory(1 << 20).Build();
        Assert.Equal(SandboxLimit.Memory, Assert.Throws<SandboxLimitException>(() => sandbox.Call("reverse", new byte[1 << 20].AsSpan())).Limit);
        byte[] bytes = new byte[512 << 10];
        for (int i = 0; i < 10; i++)
            sandbox.Call("reverse", bytes.AsSpan());
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Trap_OfAnyKind_NamesTheFunction(string engine)
    {
        using Sandbox sandbox = Create(engine).Build();
        foreach (ulong address in (ulong[])[0, 8, 0xfff, 0x1_0000_0000, 0x8000_0000_0000_0000, ulong.MaxValue - 7, 0x10_0000_0000])
        {
            SandboxTrapException trap = Trap(() => sandbox.Call<long>("load", address), "load page fault");
            Assert.StartsWith("load", trap.Symbol);
            Trap(() => sandbox.Call("store", address, 1L), "store or AMO page fault");
        }

        ulong code = sandbox.GetFunction("add").Address.Value;
        Trap(() => sandbox.Call("store", code, 0L), "store or AMO page fault");
        Trap(() => sandbox.Call("jump", 0x10UL), "instruction page fault");
        Trap(() => sandbox.Call("jump", ulong.MaxValue - 1), "instruction page fault");
        Trap(() => sandbox.Call<long>("recurse", 100_000L), "store or AMO page fault");
        Assert.Contains("is_not_there", Trap(() => sandbox.Call("calls_what_is_not_there"), "environment call from U-mode").Message, StringComparison.Ordinal);
        Trap(() => sandbox.Call("calls_the_system"), "environment call from U-mode");

        SandboxTrapException Trap(Action call, string description)
        {
            var trap = Assert.Throws<SandboxTrapException>(call);
            Assert.Equal(description, trap.Trap.Description);
            sandbox.Reset();
            Assert.Equal(3, sandbox.Call<int>("add", 1, 2));
            return trap;
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Gate_JumpedTo_IsNoWayOut(string engine)
    {
        using Sandbox sandbox = Create(engine).Build();
        ulong gate = sandbox.Layout.Gate;
        // Where functions return to, as if it had returned.
        sandbox.Call("jump", gate);
        foreach (ulong offset in (ulong[])[2, 4, 8, 16, 32, 4094, 4096])
        {
            Assert.Throws<SandboxTrapException>(() => sandbox.Call("jump", gate + offset));
            sandbox.Reset();
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Pointers_ToTheHost_AreChecked(string engine)
    {
        using Sandbox sandbox = Create(engine).Build();
        foreach ((ulong at, ulong length) in ((ulong, ulong)[])[(0, 1), (1UL << 40, 8), (sandbox.Layout.StackTop - 8, 16), (sandbox.Layout.StackTop - 8, ulong.MaxValue), (ulong.MaxValue, 1), (8, 1UL << 33)])
        {
            var trap = Assert.Throws<SandboxTrapException>(() => sandbox.Call<long>("log_from", at, length));
            Assert.Contains("log a pointer", trap.Message, StringComparison.Ordinal);
            sandbox.Reset();
        }

        Assert.Equal(0, sandbox.Call<long>("log_from", 0UL, 0UL));
        Assert.Throws<SandboxTrapException>(() => sandbox.Call<long>("text_to_host", 8UL));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Output_OverItsLimit_EndsTheCall(string engine)
    {
        var lines = new List<string>();
        using Sandbox sandbox = Plain(engine).WithLog(lines.Add).WithOutputLimit(1000).Build();
        sandbox.Call("flood", 10L);
        Assert.Equal(Enumerable.Repeat("0123456789", 10), lines);
        Assert.Equal(100UL, sandbox.Usage.OutputBytes);
        Assert.Equal(SandboxLimit.Output, Assert.Throws<SandboxLimitException>(() => sandbox.Call("flood", 1000L)).Limit);
        Assert.Equal(100, lines.Count);
        sandbox.Reset();
        sandbox.Call("flood", 100L);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void GuestThatEndsItself_IsAnException(string engine)
    {
        using Sandbox sandbox = Create(engine).Build();
        Assert.Contains("enough", Assert.Throws<SandboxException>(() => sandbox.Call("panics")).Message, StringComparison.Ordinal);
        sandbox.Reset();
        sandbox.Call("nothing");
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void HostFunction_ThatThrows_EndsTheCallWithThat(string engine)
    {
        using Sandbox sandbox = Plain(engine).Expose("add_at_host", int (int a, int b) => throw new TimeZoneNotFoundException()).Expose("log", (ReadOnlySpan<byte> _) => { }).Build();
        Assert.Throws<TimeZoneNotFoundException>(() => sandbox.Call<int>("use_host", 1, 2));
        Assert.Throws<InvalidOperationException>(() => sandbox.Call("nothing"));
        sandbox.Reset();
        sandbox.Call("nothing");
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void FailureInside_CaughtByTheHostFunction_EndsTheOuterCallToo(string engine)
    {
        Sandbox? inner = null;
        using Sandbox sandbox = Plain(engine).Expose("add_at_host", (int a, int b) =>
        {
            Assert.Throws<SandboxTrapException>(() => inner!.Call<long>("load", 0UL));
            return 1;
        }).Expose("log", (ReadOnlySpan<byte> _) => { }).Build();
        inner = sandbox;
        Assert.Throws<SandboxTrapException>(() => sandbox.Call<int>("use_host", 1, 2));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Calls_OfTwoThreads_AreRefused(string engine)
    {
        using var inside = new SemaphoreSlim(0);
        using var leave = new SemaphoreSlim(0);
        using Sandbox sandbox = Plain(engine).Expose("add_at_host", int (int a, int b) => 0).Expose("log", (ReadOnlySpan<byte> _) =>
        {
            inside.Release();
            leave.Wait(TestContext.Current.CancellationToken);
        }).Expose("scale_at_host", (double value, float by) => value).Build();
        Task<int> call = Task.Run(() => sandbox.Call<int>("use_host", 1, 2), TestContext.Current.CancellationToken);
        await inside.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Throws<InvalidOperationException>(() => sandbox.Call<int>("add", 1, 2));
        Assert.Throws<InvalidOperationException>(sandbox.Reset);
        Assert.Throws<InvalidOperationException>(sandbox.Snapshot);
        using (Sandbox fork = sandbox.Fork())
            Assert.Equal(3, fork.Call<int>("add", 1, 2));
        leave.Release();
        Assert.Equal(2, await call);
        Assert.Equal(3, sandbox.Call<int>("add", 1, 2));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Dispose_WhileItRuns_EndsTheCall(string engine)
    {
        Sandbox sandbox = Create(engine).Build();
        using var started = new SemaphoreSlim(0);
        Task run = Task.Run(() =>
        {
            started.Release();
            sandbox.Call("spin");
        }, TestContext.Current.CancellationToken);
        await started.WaitAsync(TestContext.Current.CancellationToken);
        await Task.Delay(10, TestContext.Current.CancellationToken);
        sandbox.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => run);
        Assert.Throws<ObjectDisposedException>(() => sandbox.Call("nothing"));
        Assert.Throws<ObjectDisposedException>(sandbox.Reset);
        Assert.Throws<ObjectDisposedException>(sandbox.Fork);
        sandbox.Dispose();
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Dispose_InAHostFunction_EndsTheCall(string engine)
    {
        Sandbox? self = null;
        Sandbox sandbox = Plain(engine).Expose("log", (ReadOnlySpan<byte> _) => self!.Dispose()).Expose("add_at_host", (int a, int b) => a).Build();
        self = sandbox;
        Assert.Throws<ObjectDisposedException>(() => sandbox.Call<int>("use_host", 1, 2));
        Assert.Throws<ObjectDisposedException>(() => sandbox.Call("nothing"));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task ParkedCall_DisposedCancelledOrLate_Ends(string engine)
    {
        var never = new TaskCompletionSource<long>();
        Sandbox sandbox = SandboxCallTests.Create(engine, "calls.elf", answer: never.Task).Build();
        Sandbox cancelled = sandbox.Fork(), late = sandbox.Fork(), failed = sandbox.Fork();
        using var source = new CancellationTokenSource();
        ValueTask<long> first = sandbox.CallAsync<long>("waits", 1L);
        cancelled.Cancellation = source.Token;
        ValueTask<long> second = cancelled.CallAsync<long>("waits", 1L);
        late.Deadline = TimeSpan.FromMilliseconds(20);
        ValueTask<long> third = late.CallAsync<long>("waits", 1L);
        ValueTask<long> fourth = failed.CallAsync<long>("waits", 1L);
        Assert.Equal(SandboxLimit.Deadline, (await Assert.ThrowsAsync<SandboxLimitException>(() => third.AsTask())).Limit);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second.AsTask());
        sandbox.Dispose();
        Assert.Throws<ObjectDisposedException>(() => sandbox.Call("nothing"));
        never.SetException(new TimeZoneNotFoundException());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => first.AsTask());
        await Assert.ThrowsAsync<TimeZoneNotFoundException>(() => fourth.AsTask());
        foreach (Sandbox each in (Sandbox[])[cancelled, late, failed])
        {
            each.Reset();
            Assert.Equal(3, each.Call<int>("add", 1, 2));
            each.Dispose();
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task HostFunction_ThatTakesItsTime_InACallThatWaits_IsRefused(string engine)
    {
        using Sandbox sandbox = SandboxCallTests.Create(engine, "calls.elf", answer: new TaskCompletionSource<long>().Task).Build();
        Assert.Contains("CallAsync", Assert.Throws<SandboxException>(() => sandbox.Call<long>("waits", 1L)).Message, StringComparison.Ordinal);
        sandbox.Reset();
        await Assert.ThrowsAsync<ArgumentException>(() => sandbox.CallAsync<long>("reverse", new byte[1].AsSpan()).AsTask());
        Assert.Equal(3, sandbox.Call<int>("add", 1, 2));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Forks_OnManyThreads_DoNotSeeEachOther(string engine)
    {
        using Sandbox sandbox = Create(engine).Build();
        using SandboxSnapshot snapshot = sandbox.Snapshot();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(number => Task.Run(() =>
        {
            for (int round = 0; round < 20; round++)
            {
                using Sandbox fork = snapshot.Fork();
                for (long i = 1; i <= number + 1; i++)
                    Assert.Equal(i, fork.Call<long>("counted"));
                byte[] bytes = [.. Enumerable.Range(0, 40_000).Select(i => (byte)(i * number))], expected = [.. bytes.Reverse()];
                fork.Call("reverse", bytes.AsSpan());
                Assert.Equal(expected, bytes);
            }
        })));
        Assert.Equal(1, sandbox.Call<long>("counted"));
    }

    private static SandboxBuilder Plain(string engine) => new SandboxBuilder(Samples.SampleProgram.Guest("calls.elf")).WithEngine(RiscVEngines.Create(engine));

    private static SandboxBuilder Create(string engine) => SandboxCallTests.Create(engine, "calls.elf");
}
