using System.Diagnostics;
using VirtKit.Sandboxing;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Sandboxing;

/// <summary>What sandboxes take of the process, many at a time, and what they leave of it: nothing.</summary>
[Collection(nameof(MemoryOfTheProcess))]
public sealed class SandboxLeakTests
{
    private const int Many = 10_000, Rounds = 400;

    public static TheoryData<string> Engines => RiscVEngines.Names;

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task TenThousand_Parked_HoldNoThread(string engine)
    {
        var answer = new TaskCompletionSource<long>();
        using Sandbox origin = SandboxCallTests.Create(engine, "calls.elf", answer: answer.Task).WithMemory(1 << 20).Build();
        using SandboxSnapshot snapshot = origin.Snapshot();
        int threads = Threads();
        var parked = new (Sandbox Sandbox, Task<long> Call)[Many];
        for (int i = 0; i < Many; i++)
        {
            Sandbox fork = snapshot.Fork();
            parked[i] = (fork, fork.CallAsync<long>("waits", (long)i).AsTask());
        }

        Assert.All(parked, one => Assert.False(one.Call.IsCompleted));
        // Those of the pool come and go.
        Assert.InRange(Threads(), 0, threads + 20);
        answer.SetResult(41);
        foreach ((Sandbox sandbox, Task<long> call) in parked)
        {
            Assert.Equal(42, await call);
            sandbox.Dispose();
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Sandboxes_OneAfterTheOther_LeaveNothingBehind(string engine)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("The mappings of a process are counted on Linux.");
        Round(20);
        (int files, int mappings) before = Count();
        Round(Rounds);
        (int files, int mappings) after = Count();
        // Each round makes three sandboxes with two mappings or more each; the runtime's own mappings, of compiled methods and the heap, come and go.
        Assert.True(after.files <= before.files + 10 && after.mappings <= before.mappings + Rounds / 2, $"{before} became {after}");

        void Round(int count)
        {
            for (int i = 0; i < count; i++)
                Once(i);
        }

        void Once(int number)
        {
            Sandbox sandbox = SandboxCallTests.Create(engine, "calls.elf").WithBudget(1_000_000).Build();
            Assert.Equal(1, sandbox.Call<long>("counted"));
            SandboxSnapshot snapshot = sandbox.Snapshot();
            Sandbox fork = snapshot.Fork(), other = sandbox.Fork();
            Assert.Equal(2, fork.Call<long>("counted"));
            Assert.Throws<SandboxLimitException>(() => other.Call("spin"));
            // In each order, and by the collector.
            if (number % 2 == 0)
                sandbox.Dispose();
            if (number % 3 != 0)
                snapshot.Dispose();
            if (number % 5 != 0)
                fork.Dispose();
            if (number % 7 != 0)
                other.Dispose();
        }

        static (int Files, int Mappings) Count()
        {
            for (int i = 0; i < 5; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            return (Directory.GetFiles("/proc/self/fd").Length, File.ReadAllLines("/proc/self/maps").Length);
        }
    }

    private static int Threads()
    {
        using var process = Process.GetCurrentProcess();
        return process.Threads.Count;
    }
}
