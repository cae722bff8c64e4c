using System.Diagnostics;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>Everything that makes vCPUs wait for each other, in pairs: each makes progress beside every other, and the machine stops when it is asked to. The rules of
/// waiting (WaitRules) are checked meanwhile. Each pair goes on for a part of <see cref="Soak.Time"/> where that is set.</summary>
public sealed class ContentionTests
{
    private const ulong UsualRounds = 3;

    private static readonly TimeSpan HangLimit = TimeSpan.FromSeconds(50);
    private static readonly string[] Activities = ["link", "evict", "fence", "page change", "dma", "stop", "dispose", "exception"];

    /// <summary>How an interpreter's handlers follow each other makes no difference to who waits.</summary>
    public static TheoryData<string, string, string> Pairs =>
        [.. from engine in RiscVEngines.All.Except(["interpreter-loop"]) from i in Enumerable.Range(0, Activities.Length) from second in Activities.Skip(i) select (engine, Activities[i], second)];

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Pair_OfActivities_MakesProgressAndStops(string engine, string first, string second)
    {
        string[] both = [first, second];
        var time = Stopwatch.StartNew();
        TimeSpan? soak = Soak.Time / (Activities.Length * (Activities.Length + 1) / 2);
        for (int machines = both.Contains("dispose") ? 3 : 1; machines > 0 || time.Elapsed < soak; machines--)
        {
            // Not disposed of where the test fails: a machine that hangs would hang there too.
            var guest = new ContentionGuest(engine, first, second);
            using var over = new CancellationTokenSource();
            Task writer = both.Contains("dma") ? Task.Run(() => WriteCode(guest, over.Token)) : Task.CompletedTask;
            TimeSpan shortest = TimeSpan.FromMilliseconds(both.Contains("stop") ? 2 : 50), slice = shortest;
            for (ulong until = guest.Rounds + UsualRounds; guest.Rounds < until || (soak is not null && time.Elapsed < soak && !both.Contains("dispose"));)
            {
                Assert.True(soak is not null || time.Elapsed < HangLimit, guest.Describe());
                ulong before = guest.Rounds;
                using var stop = new CancellationTokenSource(slice);
                CheckExit(await Ends(guest, guest.Machine.RunAsync(stop.Token)));
                // Beside other load, a short slice may end before the last hart's thread has begun.
                slice = guest.Rounds > before ? shortest : slice < HangLimit ? slice * 2 : slice;
            }

            await over.CancelAsync();
            await writer;
            if (both.Contains("dispose"))
                await DisposeWhileItRuns(guest);
            guest.Dispose();
        }
    }

    private static async Task DisposeWhileItRuns(ContentionGuest guest)
    {
        ulong before = guest.Rounds;
        Task<VcpuExit> run = guest.Machine.RunAsync();
        while (guest.Rounds == before && !run.IsCompleted)
            await Task.Yield();
        await Ends(guest, Task.Run(() =>
        {
            guest.Machine.Dispose();
            return default(VcpuExit);
        }));
        CheckExit(await run.WaitAsync(HangLimit));
    }

    private static void WriteCode(ContentionGuest guest, CancellationToken over)
    {
        for (uint value = 0; !over.IsCancellationRequested; value++)
        {
            guest.WriteCode(value);
            Thread.Yield();
        }
    }

    private static async Task<VcpuExit> Ends(ContentionGuest guest, Task<VcpuExit> task)
    {
        if (await Task.WhenAny(task, Task.Delay(HangLimit)) != task)
            Assert.Fail($"The machine does not stop; {guest.Describe()}");
        return await task;
    }

    private static void CheckExit(VcpuExit exit) => Assert.True(
        exit.Reason == ExitReason.Kicked || (exit.Reason == ExitReason.InternalError && exit.Detail!.Contains(ContentionGuest.Failure, StringComparison.Ordinal)), exit.ToString());
}
