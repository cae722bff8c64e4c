using System.Globalization;
using System.Runtime.CompilerServices;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.RiscV;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Lifetime;

/// <summary>What the process has is counted here, so nothing else runs meanwhile.</summary>
[CollectionDefinition(nameof(CollectionTests), DisableParallelization = true)]
[Collection(nameof(CollectionTests))]
public sealed class CollectionTests
{
    /// <summary>What so many machines may leave to the allocators: each has over a megabyte.</summary>
    private const long Slack = 64 << 20;

    public static TheoryData<string> Engines => LifetimeEngines.Names;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Machines_ThatNobodyDisposedOf_AreCollected(string engine)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("Descriptors and mappings are counted in /proc.");
        Forget(3);
        Footprint before = Footprint.Take();
        List<WeakReference> machines = Forget(Count(engine));
        Footprint after = Footprint.Take();
        Assert.All(machines, machine => Assert.False(machine.IsAlive));
        after.AssertNoMoreThan(before);

        [MethodImpl(MethodImplOptions.NoInlining)]
        List<WeakReference> Forget(int count)
        {
            var forgotten = new List<WeakReference>();
            for (int i = 0; i < count; i++)
            {
                Machine machine = LifetimeEngines.Compose(engine, scheduling: LifetimeEngines.Counts(engine) && i % 2 == 0 ? VcpuScheduling.Deterministic : VcpuScheduling.Threads);
                // It stops the machine the second time, and a timer is left set.
                ClockTimer? timer = null;
                int reads = 0;
                machine.Memory.Map(new Gpa(LifetimeEngines.DeviceAddress), new FakeDevice
                {
                    OnRead = (_, _) =>
                    {
                        if (++reads == 2)
                            machine.RequestShutdown(0);
                        return 0;
                    },
                });
                timer = machine.Clock.CreateTimer(new object(), () => timer!.Set(machine.Clock.Now + 1_000_000));
                timer.Set(0);
                Assert.Equal(ExitReason.Shutdown, machine.Run(TestContext.Current.CancellationToken).Reason);
                forgotten.Add(new WeakReference(machine));
            }

            return forgotten;
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Boards_ThatNobodyDisposedOf_AreCollectedThoughTheirBackendsLive(string engine)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("Descriptors and mappings are counted in /proc.");
        var network = new NetworkSwitch();
        var backends = new List<object>();
        Forget(1);
        Footprint before = Footprint.Take();
        List<WeakReference> boards = Forget(20);
        Footprint after = Footprint.Take();
        Assert.All(boards, board => Assert.False(board.IsAlive));
        after.AssertNoMoreThan(before);
        // What they had is free for others.
        using var next = new VirtioBlock((IBlockBackend)backends.First(backend => backend is IBlockBackend));
        GC.KeepAlive(backends);

        [MethodImpl(MethodImplOptions.NoInlining)]
        List<WeakReference> Forget(int count)
        {
            var forgotten = new List<WeakReference>();
            for (int i = 0; i < count; i++)
            {
                MemoryConsole serial = new(), console = new();
                var disk = new MemoryBlockBackend(512);
                NetworkPort port = network.AddPort();
                backends.AddRange([serial, console, disk, port]);
                forgotten.Add(new WeakReference(Board(engine, o => o with { Console = serial, VirtioConsole = console, Disks = [disk], Networks = [port] })));
            }

            return forgotten;
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Constructors_ThatFail_ReleaseWhatTheyMade(string engine)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("Descriptors and mappings are counted in /proc.");
        using var device = new VirtioMmioHolder();
        Fail(3);
        Footprint before = Footprint.Take();
        Fail(Count(engine));
        // At once, without the collector.
        Footprint at = Footprint.TakeNow();
        Assert.Equal(before.Descriptors, at.Descriptors);
        Footprint.Take().AssertNoMoreThan(before);

        void Fail(int count)
        {
            for (int i = 0; i < count; i++)
            {
                VcpuScheduling scheduling = LifetimeEngines.Counts(engine) && i % 2 == 0 ? VcpuScheduling.Deterministic : VcpuScheduling.Threads;
                Assert.Throws<InvalidOperationException>(() => Board(engine, o => o with { VirtioDevices = [device.Device], Machine = o.Machine with { Scheduling = scheduling } }));
            }
        }
    }

    [Fact]
    public void Machine_WhoseEngineFailsAtItsLastVcpu_ReleasesTheOthers()
    {
        var engine = new FailingEngine(failsAt: 3);
        Assert.Equal("no more", Assert.Throws<VirtKitException>(() => new Machine(new MachineOptions
        {
            Architecture = new FakeArchitecture(), Engine = engine, VcpuCount = 4,
        })).Message);
        Assert.Equal((3, 3, 1), (engine.Created, engine.CoresDisposed, engine.PartitionsDisposed));
    }

    /// <summary>Making a machine of the kernel's takes a tenth of a second where KVM is nested.</summary>
    private static int Count(string engine) => LifetimeEngines.Counts(engine) ? 300 : 100;

    private static IDisposable Board(string engine, Func<BoardOptions, BoardOptions> change)
    {
        var machine = new MachineOptions { Architecture = LifetimeEngines.Architecture(engine), Engine = LifetimeEngines.Create(engine), Scheduling = VcpuScheduling.Threads };
        return machine.Architecture is RiscVArchitecture
            ? new RiscVVirt((RiscVVirtOptions)change(new RiscVVirtOptions { Machine = machine }))
            : new X64MicroVm((X64MicroVmOptions)change(new X64MicroVmOptions { Machine = machine }));
    }

    /// <summary>A virtio device that is on a transport already.</summary>
    private sealed class VirtioMmioHolder : IDisposable
    {
        private readonly RiscVVirt _board;

        public VirtioMmioHolder() => _board = new RiscVVirt(new RiscVVirtOptions { VirtioDevices = [Device] });

        public VirtioEntropy Device { get; } = new();

        public void Dispose() => _board.Dispose();
    }

    /// <summary>What the process has of the kernel and of memory.</summary>
    /// <param name="Descriptors">The process's descriptors, by kind.</param>
    /// <param name="Mappings">Its mappings, by kind.</param>
    /// <param name="AllMappings">Its mappings, of whatever kind.</param>
    /// <param name="Resident">Its memory in bytes.</param>
    private sealed record Footprint(int[] Descriptors, int[] Mappings, int AllMappings, long Resident)
    {
        /// <summary>After the collector and all finalizers.</summary>
        public static Footprint Take()
        {
            for (int i = 0; i < 4; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            return TakeNow();
        }

        public static Footprint TakeNow()
        {
            string[] kinds = ["kvm", "eventfd", "memfd:virtkit"]; // virtkit-code among them
            string[] descriptors = [.. Directory.EnumerateFileSystemEntries("/proc/self/fd").Select(path => new FileInfo(path).LinkTarget ?? "")];
            string[] mappings = File.ReadAllLines("/proc/self/maps");
            string resident = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))[6..^2];
            return new Footprint(Tell(descriptors), Tell(mappings), mappings.Length, long.Parse(resident, CultureInfo.InvariantCulture) << 10);

            int[] Tell(string[] lines) => [.. kinds.Select(kind => lines.Count(line => line.Contains(kind, StringComparison.Ordinal)))];
        }

        public void AssertNoMoreThan(Footprint before)
        {
            // Fewer where an earlier machine was still in a register or on the stack.
            foreach ((int less, int more) in Descriptors.Zip(before.Descriptors).Concat(Mappings.Zip(before.Mappings)))
                Assert.InRange(less, 0, more);
            // The runtime and the allocators map what they like, but not something for each machine.
            Assert.InRange(AllMappings, 0, before.AllMappings + 50);
            Assert.InRange(Resident, 0, before.Resident + Slack);
        }
    }
}
