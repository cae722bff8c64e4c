using System.Diagnostics;
using System.Reflection;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Lifetime;

/// <summary>Every public member of a machine and its parts, on several threads, against the disposal of the machine: nothing crashes, nothing hangs, and nothing but the
/// documented exceptions comes out. <c>VIRTKIT_SOAK_SECONDS</c> makes it go on.</summary>
/// <remarks>It runs in a process of its own, which an access violation would end.</remarks>
public sealed class DisposeRaceTests
{
    private const string ChildVariable = "VIRTKIT_DISPOSE_RACE";
    private const int Threads = 4;
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(60);

    /// <summary>What the race is against, and what the device at the other end of a port calls.</summary>
    private static readonly string[] Unraced = ["Dispose", "DisposeAsync", "TryReceive"];

    public static TheoryData<string> Engines => LifetimeEngines.Names;

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Members_RacedAgainstDispose_NeitherCrashNorHang(string engine)
    {
        if (engine == "kvm")
            Require.Kvm();
        if (Environment.GetEnvironmentVariable(ChildVariable) is { } chosen)
        {
            if (chosen == engine)
                Race(engine);
            return;
        }

        TimeSpan limit = Hang + Hang + (Soak.Time ?? TimeSpan.Zero);
        string output = await HostProcess.RunAsync(
            "dotnet", [Path.Combine(AppContext.BaseDirectory, "VirtKit.Tests.dll"), "-method", $"{typeof(DisposeRaceTests).FullName}.{nameof(Members_RacedAgainstDispose_NeitherCrashNorHang)}"],
            AppContext.BaseDirectory, limit, new Dictionary<string, string> { [ChildVariable] = engine });
        Assert.Contains($"Total: {Engines.Count}, Errors: 0, Failed: 0", output, StringComparison.Ordinal);
    }

    /// <summary>A member that is added to these types is added here too.</summary>
    [Theory]
    [InlineData(typeof(Machine))]
    [InlineData(typeof(Vcpu))]
    [InlineData(typeof(AddressSpace))]
    [InlineData(typeof(RiscVVirt))]
    [InlineData(typeof(X64MicroVm))]
    [InlineData(typeof(InterruptLine))]
    [InlineData(typeof(MachineClock))]
    [InlineData(typeof(ClockTimer))]
    [InlineData(typeof(MemoryConsole))]
    [InlineData(typeof(NetworkPort))]
    public void Race_OfAType_HasEveryPublicMember(Type type)
    {
        var racer = new Racer("interpreter", VcpuScheduling.Deterministic);
        racer.Board.Dispose();
        string[] unraced = [.. type.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
            .Where(member => member is not ConstructorInfo && member is not MethodInfo { IsSpecialName: true } && !IsObjects(member.Name))
            .Select(member => member.Name).Distinct().Where(name => !racer.Names.Contains(name) && !Unraced.Contains(name))];
        Assert.Empty(unraced);

        static bool IsObjects(string name) => name is nameof(Equals) or nameof(GetHashCode) or nameof(ToString) or nameof(GetType);
    }

    private static void Race(string engine)
    {
        TimeSpan limit = Soak.Time ?? TimeSpan.FromSeconds(3);
        var time = Stopwatch.StartNew();
        for (int round = 0; time.Elapsed < limit; round++)
            RaceOnce(engine, round);
    }

    private static void RaceOnce(string engine, int round)
    {
        var random = new Random(round);
        var racer = new Racer(engine, LifetimeEngines.Counts(engine) && round % 2 == 0 ? VcpuScheduling.Deterministic : VcpuScheduling.Threads);
        bool stop = false;
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(i => new Thread(() =>
        {
            var own = new Random(round * Threads + i);
            while (!Volatile.Read(ref stop))
                racer.Call(own);
            for (int k = 0; k < 50; k++)
                racer.Call(own);
        }) { IsBackground = true })];
        foreach (Thread thread in threads)
            thread.Start();
        Thread.SpinWait(random.Next(1, 200_000));
        if (random.Next(4) == 0)
            Thread.Sleep(random.Next(1, 20));
        Thread[] disposers = [.. Enumerable.Range(0, 2).Select(_ => new Thread(racer.Board.Dispose) { IsBackground = true })];
        foreach (Thread thread in disposers)
            thread.Start();
        foreach (Thread thread in disposers)
            Assert.True(thread.Join(Hang), "The disposal does not come back.");
        Assert.True(racer.Machine.Memory.IsDisposed);
        Volatile.Write(ref stop, true);
        foreach (Thread thread in threads)
            Assert.True(thread.Join(Hang), "A member does not come back after the disposal.");
        Assert.True(racer.WaitForRuns(Hang), "A run does not come back after the disposal.");
        Assert.Null(racer.Unexpected);
    }
}
