using System.IO.Compression;
using VirtKit.Devices;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.State;

/// <summary>A machine's whole state as a value: captured, restored, forked, saved and loaded.</summary>
public sealed class MachineSnapshotTests
{
    /// <summary>Adds what it has added up to words of memory, one after the other, and writes a byte to the serial port now and then.</summary>
    private const string Counter = """
            li s0, 0x80100000
            li s2, 0x10000000
            li s3, 0x7fff8
        again:
            addi s1, s1, 1
            add s4, s4, s1
            and t0, s4, s3
            add t0, t0, s0
            ld t1, 0(t0)
            add t1, t1, s4
            sd t1, 0(t0)
            andi t2, s1, 1023
            bnez t2, again
            sb s1, 0(s2)
            j again
        """;

    public static TheoryData<string> Engines => [.. RiscVEngines.All];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Restore_OnAnyEngine_GoesOnAsTheMachineThatWasCaptured(string engine)
    {
        using RiscVVirt whole = Board(engine);
        whole.Machine.Run(2_000_000, Cancellation);
        string expected = Describe(whole);
        foreach (string other in RiscVEngines.All)
        {
            using RiscVVirt first = Board(engine), second = Board(other, loads: false);
            first.Machine.Run(1_234_567, Cancellation);
            using MachineSnapshot snapshot = first.Machine.Capture();
            // What was there goes; what the first one does meanwhile stays its own.
            second.Machine.Memory.Write(new Gpa(0x8030_0000), [1, 2, 3]);
            first.Machine.Run(1_000_000, Cancellation);
            second.Machine.Restore(snapshot);
            second.Machine.Run(2_000_000 - 1_234_567, Cancellation);
            Assert.Equal(expected, Describe(second));
            // Once more, after it has gone on.
            second.Machine.Restore(snapshot);
            snapshot.Dispose();
            second.Machine.Run(2_000_000 - 1_234_567, Cancellation);
            Assert.Equal(expected, Describe(second));
        }
    }

    /// <summary>Between two instructions of a run under way, from other threads: the run comes to the same end.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Capture_WhileTheMachineRuns_IsNotSeenByIt(string engine)
    {
        const ulong Length = 20_000_000;
        using RiscVVirt whole = Board(engine);
        whole.Machine.Run(Length, Cancellation);
        using RiscVVirt board = Board(engine);
        Task<VcpuExit> run = Task.Run(() => board.Machine.Run(Length, Cancellation), Cancellation);
        List<MachineSnapshot> snapshots = [];
        Assert.True(SpinWait.SpinUntil(() => board.Machine.Vcpus[0].Counters.Retired > 0, Hang.Limit));
        while (!run.IsCompleted)
            snapshots.Add(board.Machine.Capture());
        Assert.Equal(ExitReason.BudgetExhausted, (await run).Reason);
        Assert.Equal(Describe(whole), Describe(board));
        foreach (MachineSnapshot snapshot in snapshots.Take(5))
        {
            using RiscVVirt fork = Board(engine, loads: false);
            fork.Machine.Restore(snapshot);
            ulong retired = fork.Machine.Vcpus[0].Counters.Retired;
            fork.Machine.Run(Length - retired, Cancellation);
            Assert.Equal(Describe(whole), Describe(fork));
        }

        snapshots.ForEach(snapshot => snapshot.Dispose());
    }

    [Fact]
    public void Forks_OfOneSnapshot_ShareNothingThatIsWritten()
    {
        using RiscVVirt origin = Board("interpreter");
        origin.Machine.Run(500_000, Cancellation);
        RiscVVirt[] forks = [.. Enumerable.Range(0, 40).Select(_ => Board("interpreter", loads: false))];
        using (MachineSnapshot snapshot = origin.Machine.Capture())
        {
            foreach (RiscVVirt fork in forks)
                fork.Machine.Restore(snapshot);
        }

        for (int i = 0; i < forks.Length; i++)
            forks[i].Machine.Run((ulong)(10_000 * (i % 4)), Cancellation);
        string[] ends = [.. forks.Select(Describe)];
        Assert.Equal(Describe(origin), ends[0]);
        Assert.Equal(4, ends.Distinct().Count());
        Assert.All(Enumerable.Range(0, forks.Length), i => Assert.Equal(ends[i % 4], ends[i]));
        // A fork of a fork has the pages of both.
        using MachineSnapshot again = forks[3].Machine.Capture();
        forks[0].Machine.Restore(again);
        Assert.Equal(ends[3], Describe(forks[0]));
        foreach (RiscVVirt fork in forks)
            fork.Dispose();
    }

    /// <summary>Forks, snapshots of forks and those that nobody disposes of give back their descriptors and their addresses.</summary>
    [Fact]
    public void Forks_OneAfterTheOther_LeaveNothingBehind()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("The mappings of a process are counted on Linux.");
        using RiscVVirt origin = Board("interpreter");
        origin.Machine.Run(200_000, Cancellation);
        Round(10);
        (int files, int mappings) before = Count();
        Round(200);
        (int files, int mappings) after = Count();
        Assert.True(after.files <= before.files + 4 && after.mappings <= before.mappings + 4, $"{before} became {after}");

        void Round(int count)
        {
            for (int i = 0; i < count; i++)
                ForkOnce(i);
        }

        void ForkOnce(int number)
        {
            MachineSnapshot snapshot = origin.Machine.Capture();
            RiscVVirt fork = Board("interpreter", loads: false);
            fork.Machine.Restore(snapshot);
            fork.Machine.Run(1000, Cancellation);
            MachineSnapshot second = fork.Machine.Capture();
            fork.Machine.Restore(second);
            // In each order, and by the collector.
            if (number % 3 != 0)
                snapshot.Dispose();
            if (number % 2 == 0)
                fork.Dispose();
            if (number % 3 == 1)
                second.Dispose();
        }

        static (int Files, int Mappings) Count()
        {
            for (int i = 0; i < 5; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            return (Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(path => (new FileInfo(path).LinkTarget ?? "").Contains("memfd:virtkit", StringComparison.Ordinal)),
                File.ReadLines("/proc/self/maps").Count(line => line.Contains("memfd:virtkit", StringComparison.Ordinal)));
        }
    }

    /// <summary>Captured again and again while its vCPUs run on threads, in the host's time; what is captured goes on.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Capture_WhileVcpusRunOnThreads_IsWhole(string engine)
    {
        using var m = new BareMachine(engine, "again: addi s0, s0, 1\nadd s1, s1, s0\nsd s0, 0(a1)\nsd s1, 8(a1)\nj again", vcpus: 3, scheduling: VcpuScheduling.Threads);
        foreach (Vcpu vcpu in m.Machine.Vcpus)
        {
            RiscVState state = vcpu.GetState<RiscVState>();
            (state.Started, state.X[11]) = (true, BareMachine.Ram + 0x1000 * (ulong)(1 + vcpu.Index));
            vcpu.SetState(state);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task<VcpuExit> run = m.Machine.RunAsync(stop.Token);
        using var other = new BareMachine(engine, "nop", vcpus: 3, scheduling: VcpuScheduling.Threads);
        for (int i = 0; i < 30; i++)
        {
            using MachineSnapshot snapshot = m.Machine.Capture();
            other.Machine.Restore(snapshot);
            foreach (Vcpu vcpu in other.Machine.Vcpus)
            {
                // The sum of the numbers so far, up to one instruction; memory has it too, up to a round.
                RiscVState state = vcpu.GetState<RiscVState>();
                ulong n = state.X[8], sum = state.X[9], stored = other.Read(state.X[11]);
                Assert.True(sum == n * (n + 1) / 2 || sum == n * (n - 1) / 2, $"{n}: {sum}");
                Assert.InRange(stored, n == 0 ? 0 : n - 1, n);
            }
        }

        await stop.CancelAsync();
        Assert.Equal(ExitReason.Kicked, (await run.WaitAsync(Hang.Limit, Cancellation)).Reason);
    }

    /// <summary>A guest that lives by a timer of 20 µs, in the host's time: no capture loses the timer that is under way.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Capture_WhileTimersFire_LosesNone(string engine)
    {
        const string source = """
            again:
                addi s0, s0, 1
                csrr a0, time
                addi a0, a0, 200
                li a7, 0x54494d45
                li a6, 0
                ecall
                wfi
                j again
            """;
        using var m = new BareMachine(engine, source, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads);
        m.State = m.State with { Mcounteren = 7, Mideleg = 0x222, Mie = 0x20 };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task<VcpuExit> run = m.Machine.RunAsync(stop.Token);
        List<MachineSnapshot> snapshots = [];
        for (int i = 0; i < 100; i++)
        {
            Thread.SpinWait(i * 1000);
            snapshots.Add(m.Machine.Capture());
        }

        await stop.CancelAsync();
        VcpuExit exit = await run.WaitAsync(Hang.Limit, Cancellation);
        Assert.True(exit.Reason == ExitReason.Kicked && m.State.X[8] > 0, $"{exit}, {m.State.X[8]}");
        using var other = new BareMachine(engine, source, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads);
        foreach (MachineSnapshot snapshot in snapshots)
        {
            other.Machine.Restore(snapshot);
            snapshot.Dispose();
            ulong before = other.State.X[8];
            // It goes on at once, or never.
            for (int turns = 0; turns < 200 && other.State.X[8] <= before + 3; turns++)
            {
                using var limit = new CancellationTokenSource(5);
                await other.Machine.RunAsync(limit.Token).WaitAsync(Hang.Limit, Cancellation);
            }

            Assert.True(other.State.X[8] > before + 3, $"{before} became {other.State.X[8]}");
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData(CompressionLevel.Fastest)]
    public async Task Save_ThenLoad_IsTheSame(CompressionLevel? compression)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using RiscVVirt board = Board("interpreter");
        board.Machine.Run(700_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        await File.WriteAllTextAsync(path, "what was there", Cancellation);
        double told = 0;
        await snapshot.SaveAsync(path, new SnapshotOptions { Compression = compression }, new Synchronous(share => told = Math.Max(told, share)), Cancellation);
        Assert.Equal(1, told);
        Assert.Equal([path], Directory.GetFiles(folder.Path));
        using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(path, Cancellation);
        Assert.Equal((snapshot.Architecture, snapshot.VcpuCount, snapshot.MemorySize), (loaded.Architecture, loaded.VcpuCount, loaded.MemorySize));
        using RiscVVirt other = Board("interpreter", loads: false);
        other.Machine.Restore(loaded);
        Assert.Equal(Describe(board), Describe(other));
        // Sparse: far from the 16 MiB of the guest.
        Assert.InRange(new FileInfo(path).Length, 10_000, 1 << 20);
    }

    [Fact]
    public async Task Save_ThatIsCancelled_LeavesTheOldFileAndNothingElse()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        using RiscVVirt board = Board("interpreter");
        board.Machine.Run(700_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        await snapshot.SaveAsync(path, cancellationToken: Cancellation);
        byte[] before = await File.ReadAllBytesAsync(path, Cancellation);
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => snapshot.SaveAsync(path, null, new Synchronous(_ => stop.Cancel()), stop.Token));
        Assert.Equal([path], Directory.GetFiles(folder.Path));
        Assert.Equal(before, await File.ReadAllBytesAsync(path, Cancellation));
    }

    /// <summary>A process that saves over one file again and again is killed in the middle: the file is whole each time, the old one or the new one.</summary>
    [Fact]
    public async Task Save_InAProcessThatIsKilled_LeavesAWholeFile()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap");
        int rounds = Soak.Time is null ? 12 : 200, partial = 0;
        Random random = Seed.Random();
        using RiscVVirt target = Board("interpreter", loads: false);
        for (int round = 0; round < rounds; round++)
        {
            File.Delete(Saver.ReadyFile(path));
            using System.Diagnostics.Process saver = System.Diagnostics.Process.Start("dotnet", [typeof(MachineSnapshotTests).Assembly.Location, Saver.Command, path]);
            try
            {
                Assert.True(SpinWait.SpinUntil(() => File.Exists(Saver.ReadyFile(path)) || saver.HasExited, Hang.Limit) && !saver.HasExited, "The process does not save.");
                await Task.Delay(random.Next(100), Cancellation);
            }
            finally
            {
                saver.Kill();
                await saver.WaitForExitAsync(Cancellation);
            }

            using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(path, Cancellation);
            target.Machine.Restore(loaded);
            foreach (string left in Directory.GetFiles(folder.Path, "*.partial"))
            {
                partial++;
                File.Delete(left);
            }
        }

        Assert.True(partial > 0, "No process was killed in the middle of a file.");
    }

    [Fact]
    public async Task Load_OfDamagedFiles_IsRefusedOrTheSame()
    {
        Random random = Seed.Random();
        using RiscVVirt board = Board("interpreter"), target = Board("interpreter", loads: false);
        board.Machine.Run(30_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        using var stream = new MemoryStream();
        await snapshot.SaveAsync(stream, new SnapshotOptions { Compression = CompressionLevel.Optimal }, cancellationToken: Cancellation);
        byte[] whole = stream.ToArray();
        int refused = 0;
        for (int round = 0; round < (Soak.Time is null ? 2000 : 100_000); round++)
        {
            byte[] damaged = [.. whole];
            switch (random.Next(3))
            {
                case 0:
                    damaged = damaged[..random.Next(damaged.Length)];
                    break;
                case 1:
                    int cut = random.Next(damaged.Length);
                    damaged = [.. damaged[..cut], .. damaged[random.Next(damaged.Length)..]];
                    break;
                default:
                    for (int flips = random.Next(1, 4); flips > 0; flips--)
                        damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
                    break;
            }

            try
            {
                using MachineSnapshot loaded = await MachineSnapshot.LoadAsync(new MemoryStream(damaged), Cancellation);
                target.Machine.Restore(loaded);
                Assert.Equal(Describe(board), Describe(target));
            }
            catch (InvalidSnapshotException e)
            {
                Assert.NotEmpty(e.Message);
                refused++;
            }
        }

        Assert.True(refused > 1500, $"{refused} refused");
    }

    /// <summary>Files whose checksums fit and whose content does not: from somebody who knows the format.</summary>
    [Fact]
    public async Task Load_OfForgedSections_IsRefused()
    {
        byte[] header = [.. BitConverter.GetBytes(3L), .. "toy"u8, .. BitConverter.GetBytes(1L), .. BitConverter.GetBytes(1L), .. BitConverter.GetBytes(0L), .. BitConverter.GetBytes(8192L), .. BitConverter.GetBytes(1L)];
        byte[] huge = [.. header];
        BitConverter.GetBytes(1L << 45).CopyTo(huge, huge.Length - 16);
        byte[] piece = [.. new byte[16], .. new byte[4096]], outside = [.. piece], unaligned = [.. piece], elsewhere = [.. piece], unknown = [.. piece];
        (outside[8 + 1], unaligned[8], elsewhere[0], unknown[4]) = (0x20, 8, 1, 2);
        await Forge((SectionKind.Header, header), (SectionKind.State, []), (SectionKind.Memory, piece), (SectionKind.End, []));
        foreach (byte[] wrong in (byte[][])[outside, unaligned, elsewhere, unknown, piece[..16], piece[..7]])
            await Refused((SectionKind.Header, header), (SectionKind.State, []), (SectionKind.Memory, wrong), (SectionKind.End, []));
        await Refused((SectionKind.Header, header[..^1]), (SectionKind.State, []), (SectionKind.End, []));
        await Refused((SectionKind.State, []), (SectionKind.Header, header), (SectionKind.End, []));
        await Refused((SectionKind.Header, header), (SectionKind.State, [4, 1, 2]), (SectionKind.End, []));
        await Refused((SectionKind.Header, header), (SectionKind.State, []), (SectionKind.State, []), (SectionKind.End, []));
        await Refused((SectionKind.Header, header), (SectionKind.State, []));
        // As much address space as it says, and no memory.
        await Forge((SectionKind.Header, huge), (SectionKind.State, []), (SectionKind.End, []));

        static async Task Forge(params (SectionKind Kind, byte[] Content)[] sections)
        {
            var stream = new MemoryStream();
            stream.Write("VKSNAP\r\n"u8);
            stream.Write(BitConverter.GetBytes(1));
            var writer = new SectionWriter(stream);
            foreach ((SectionKind kind, byte[] content) in sections)
                await writer.WriteAsync(kind, content, Cancellation);
            stream.Position = 0;
            (await MachineSnapshot.LoadAsync(stream, Cancellation)).Dispose();
        }

        static async Task Refused(params (SectionKind, byte[])[] sections) => await Assert.ThrowsAsync<InvalidSnapshotException>(() => Forge(sections));
    }

    [Fact]
    public async Task Load_OfAnotherKindOfFile_SaysWhatIsWrong()
    {
        Assert.Contains("no snapshot", (await Load([])).Message, StringComparison.Ordinal);
        Assert.Contains("no snapshot", (await Load("VKSNAP\n\n\u0001\0\0\0"u8.ToArray())).Message, StringComparison.Ordinal);
        Assert.Contains("version 2", (await Load("VKSNAP\r\n\u0002\0\0\0"u8.ToArray())).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<FileNotFoundException>(() => MachineSnapshot.LoadAsync("there-is-none.vksnap", Cancellation));

        static Task<InvalidSnapshotException> Load(byte[] bytes) => Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineSnapshot.LoadAsync(new MemoryStream(bytes), Cancellation));
    }

    public static TheoryData<string, string> Others => new()
    {
        { "vcpus", "1 vCPUs, and the machine 2" },
        { "memory", "RAM at 0x80000000" },
        { "extensions", "the machine is riscv64 rv64imafdc" },
        { "device", "they have other devices" },
        { "firmware", "firmware" },
    };

    [Theory]
    [MemberData(nameof(Others))]
    public void Restore_IntoAnotherMachine_SaysWhatDiffersAndChangesNothing(string other, string reason)
    {
        using RiscVVirt board = Board("interpreter");
        board.Machine.Run(10_000, Cancellation);
        using MachineSnapshot snapshot = board.Machine.Capture();
        var options = new RiscVVirtOptions { MemorySize = other == "memory" ? 32UL << 20 : 16 << 20, Devices = other == "device" ? [new BoardDevice(slot => new GoldfishRtc(slot.Machine.Clock, slot.TakeInterrupt()))] : [] };
        using var target = new RiscVVirt(options with
        {
            Machine = new MachineOptions
            {
                Engine = RiscVEngines.Create("interpreter"),
                VcpuCount = other == "vcpus" ? 2 : 1,
                Architecture = new RiscVArchitecture { Sbi = other == "firmware" ? null : new SbiOptions(), Isa = other == "extensions" ? "rv64imafdc_zicsr_zifencei" : RiscVArchitecture.FullIsa },
            },
        });
        target.Machine.Memory.Write(new Gpa(0x8000_0000), [1, 2, 3, 4]);
        Assert.Contains(reason, Assert.Throws<InvalidSnapshotException>(() => target.Machine.Restore(snapshot)).Message, StringComparison.Ordinal);
        byte[] bytes = new byte[4];
        target.Machine.Memory.Read(new Gpa(0x8000_0000), bytes);
        Assert.Equal([1, 2, 3, 4], bytes);
    }

    [Fact]
    public void Capture_InACallbackOrOfSomethingThatCannotBeSaved_IsRefused()
    {
        using RiscVVirt board = Board("interpreter");
        Exception? error = null;
        using ClockTimer timer = board.Machine.Clock.CreateTimer(new object(), () => error = Record.Exception(board.Machine.Capture));
        timer.Set(board.Machine.Clock.Now + 1000);
        board.Machine.Run(10_000, Cancellation);
        Assert.Contains("callback", Assert.IsType<InvalidOperationException>(error).Message, StringComparison.Ordinal);
        board.Machine.Memory.Map(new Gpa(0x5000_0000), new FakeDevice());
        Assert.Contains("cannot be saved", Assert.Throws<VirtKitException>(board.Machine.Capture).Message, StringComparison.Ordinal);
        MachineSnapshot snapshot = Board("interpreter").Machine.Capture();
        snapshot.Dispose();
        Assert.Throws<ObjectDisposedException>(() => board.Machine.Restore(snapshot));
        board.Dispose();
        Assert.Throws<ObjectDisposedException>(board.Machine.Capture);
    }

    /// <summary>A file of the format's first version, which every later build reads: a machine that has run 100,000 instructions, from a commit of that time.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Load_OfTheFirstVersionsFile_GoesOnAsItDidThen(string engine)
    {
        string path = Path.Combine(Repository.Root, "tests", "VirtKit.Tests", "State", "version-1.vksnap");
        if (Environment.GetEnvironmentVariable("VIRTKIT_WRITE_GOLDEN") is not null)
        {
            using RiscVVirt first = Board("interpreter");
            first.Machine.Run(100_000, Cancellation);
            using MachineSnapshot written = first.Machine.Capture();
            await written.SaveAsync(path, new SnapshotOptions { Compression = CompressionLevel.SmallestSize }, cancellationToken: Cancellation);
        }

        using MachineSnapshot snapshot = await MachineSnapshot.LoadAsync(path, Cancellation);
        using RiscVVirt board = Board(engine, loads: false), whole = Board(engine);
        board.Machine.Restore(snapshot);
        board.Machine.Run(50_000, Cancellation);
        whole.Machine.Run(150_000, Cancellation);
        Assert.Equal(Describe(whole), Describe(board));
    }

    internal static RiscVVirt Board(string engine, bool loads = true)
    {
        var board = new RiscVVirt(new RiscVVirtOptions
        {
            Machine = new MachineOptions { Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create(engine) },
            MemorySize = 16 << 20,
            Console = new MemoryConsole(),
            Seed = 1,
        });
        if (loads)
        {
            board.Machine.Memory.Write(RiscVVirt.KernelAddress, RiscVAssembler.Assemble(Counter, RiscVVirt.KernelAddress.Value, out _));
            board.BootSupervisor(RiscVVirt.KernelAddress);
        }

        return board;
    }

    /// <summary>All of it: state and memory.</summary>
    private static string Describe(RiscVVirt board)
    {
        using MachineSnapshot snapshot = board.Machine.Capture();
        byte[] memory = new byte[16 << 20];
        board.Machine.Memory.Read(new Gpa(0x8000_0000), memory);
        return $"{Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(memory))} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(snapshot.State.Span))}";
    }

    private sealed class Synchronous(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }
}
