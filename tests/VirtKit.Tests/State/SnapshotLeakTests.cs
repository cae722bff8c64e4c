using System.Diagnostics;
using System.Runtime.CompilerServices;
using VirtKit.Devices.Boards;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.Support;
using static VirtKit.Tests.State.SnapshotBoard;

namespace VirtKit.Tests.State;

/// <summary>What snapshots and forks leave of descriptors, mappings and memory: nothing, in whatever order they go.</summary>
[Collection(nameof(MemoryOfTheProcess))]
public sealed class SnapshotLeakTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

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

    /// <summary>A file that is mapped is closed when the last one that shows it has gone, disposed of or forgotten; one that is refused at once.</summary>
    [Fact]
    public async Task MappedFiles_OneAfterTheOther_AreClosed()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("Files are mapped on Linux.");
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "machine.vksnap"), damaged = Path.Combine(folder.Path, "damaged.vksnap");
        using (RiscVVirt board = Board("interpreter"))
        using (MachineSnapshot snapshot = board.Machine.Capture())
            await snapshot.SaveAsync(path, new SnapshotOptions { Layout = SnapshotLayout.Mappable }, cancellationToken: Cancellation);
        byte[] bytes = await File.ReadAllBytesAsync(path, Cancellation);
        bytes[^1]++;
        await File.WriteAllBytesAsync(damaged, bytes, Cancellation);
        for (int i = 0; i < 30; i++)
        {
            await Assert.ThrowsAsync<InvalidSnapshotException>(() => MachineSnapshot.MapAsync(damaged, cancellationToken: Cancellation));
            await Use(i);
        }

        for (int i = 0; i < 5; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries("/proc/self/fd"), entry => (new FileInfo(entry).LinkTarget ?? "").StartsWith(folder.Path, StringComparison.Ordinal));
        Assert.DoesNotContain(File.ReadLines("/proc/self/maps"), line => line.Contains(folder.Path, StringComparison.Ordinal));

        async Task Use(int number)
        {
            MachineSnapshot mapped = await MachineSnapshot.MapAsync(path, cancellationToken: Cancellation);
            RiscVVirt fork = Board("interpreter", loads: false);
            fork.Machine.Restore(mapped);
            MachineSnapshot second = fork.Machine.Capture();
            if (number % 2 != 0)
                mapped.Dispose();
            if (number % 3 != 0)
                fork.Dispose();
            if (number % 5 != 0)
                second.Dispose();
        }
    }

    /// <summary>Thousands of captures, restores and disposals in any order leave no descriptor and no mapping behind.</summary>
    [Fact]
    public void Cycles_InAnyOrder_LeaveNothing()
    {
        Random random = Seed.Random();
        Cycle(200);
        (int descriptors, int maps, long bytes) before = Count();
        Cycle(4000);
        (int descriptors, int maps, long bytes) after = Count();
        Assert.True(after.descriptors <= before.descriptors + 10 && after.maps <= before.maps + 60 && after.bytes < before.bytes + (150 << 20), $"{before} {after}");

        void Cycle(int count)
        {
            Machine[] machines = [.. Enumerable.Range(0, 3).Select(_ => Small())];
            List<MachineSnapshot> snapshots = [];
            for (int i = 0; i < count; i++)
            {
                Machine machine = machines[random.Next(3)];
                switch (random.Next(8))
                {
                    case 0 or 1:
                        byte[] bytes = new byte[random.Next(1, 300_000)];
                        bytes.AsSpan().Fill((byte)random.Next(4));
                        machine.Memory.Write(new Gpa(0x8000_0000 + (ulong)random.Next(3 << 20)), bytes);
                        break;
                    case 2 or 3:
                        snapshots.Add(machine.Capture());
                        break;
                    case 4 or 5 when snapshots.Count > 0:
                        machine.Restore(snapshots[random.Next(snapshots.Count)]);
                        break;
                    case 6 when snapshots.Count > 0:
                        int gone = random.Next(snapshots.Count);
                        if (random.Next(4) != 0)
                            snapshots[gone].Dispose();
                        snapshots.RemoveAt(gone);
                        break;
                    case 7 when random.Next(10) == 0:
                        int index = random.Next(3);
                        if (random.Next(2) == 0)
                            machines[index].Dispose();
                        machines[index] = Small();
                        break;
                }

                while (snapshots.Count > 12)
                {
                    snapshots[0].Dispose();
                    snapshots.RemoveAt(0);
                }
            }

            Array.ForEach(machines, machine => machine.Dispose());
            snapshots.ForEach(snapshot => snapshot.Dispose());
        }

        static (int, int, long) Count()
        {
            for (int i = 0; i < 4; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            using Process self = Process.GetCurrentProcess();
            return (Directory.GetFiles("/proc/self/fd").Length, File.ReadAllLines("/proc/self/maps").Count(line => line.Contains("virtkit", StringComparison.Ordinal)), self.WorkingSet64);
        }
    }

    /// <summary>Memory that a guest rewrites is held once, where the snapshots that showed it are disposed of or forgotten: the image gives back what its last machine has replaced.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Captures_OfAMachineThatRewritesItsMemory_HoldItOnce(bool disposes)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("The pages of a process are counted on Linux.");
        const int Size = 64 << 20;
        using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
        machine.Memory.MapRam(new Gpa(0x8000_0000), Size);
        long before = Held();
        byte[] content = new byte[Size];
        for (byte round = 1; round < 6; round++)
        {
            content.AsSpan().Fill(round);
            machine.Memory.Write(new Gpa(0x8000_0000), content);
            Capture();
        }

        if (!disposes)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.InRange(Held() - before, 0, Size / 4);
        using MachineSnapshot last = machine.Capture();
        using var other = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
        other.Memory.MapRam(new Gpa(0x8000_0000), Size);
        other.Restore(last);
        byte[] found = new byte[Size];
        other.Memory.Read(new Gpa(0x8000_0000), found);
        Assert.True(found.AsSpan().SequenceEqual(content), "other bytes");

        [MethodImpl(MethodImplOptions.NoInlining)]
        void Capture()
        {
            MachineSnapshot snapshot = machine.Capture();
            if (disposes)
                snapshot.Dispose();
        }

        // What the memory files of the process have, beside the pages that machines have as their own.
        static long Held() => Directory.EnumerateFileSystemEntries("/proc/self/fd")
            .Where(path => (new FileInfo(path).LinkTarget ?? "").StartsWith("/memfd:virtkit ", StringComparison.Ordinal))
            .Sum(path => long.Parse(Tool.Run("stat", [], "-L", "-c", "%b", $"/proc/{Environment.ProcessId}/fd/{Path.GetFileName(path)}"), System.Globalization.NumberStyles.AllowTrailingWhite, System.Globalization.CultureInfo.InvariantCulture) * 512);
    }

    /// <summary>Captures without end keep a bounded number of code memories, and give them back.</summary>
    [Fact]
    public void Captures_OneAfterTheOther_LeaveNoCodeBehind()
    {
        Translator.Translators.Require();
        if (!OperatingSystem.IsLinux())
            Assert.Skip("The mappings of a process are counted on Linux.");
        Rounds(2);
        int before = Count();
        Rounds(40);
        Assert.InRange(Count(), 0, before + 4);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Rounds(int count)
        {
            (RiscVVirt first, _) = Translator.SharedCodeTests.Board();
            for (int i = 0; i < count; i++)
                Round(first, i);
            first.Dispose();
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Round(RiscVVirt first, int number)
        {
            first.Machine.Run((ulong)(number * 100), Cancellation);
            MachineSnapshot snapshot = first.Machine.Capture();
            (RiscVVirt fork, _) = Translator.SharedCodeTests.Board(loads: false);
            fork.Machine.Restore(snapshot);
            fork.Machine.Run(1000, Cancellation);
            if (number % 2 == 0)
                snapshot.Dispose();
            if (number % 3 == 0)
                fork.Dispose();
        }

        static int Count()
        {
            for (int i = 0; i < 5; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            return File.ReadLines("/proc/self/maps").Count(line => line.Contains("memfd:virtkit-code", StringComparison.Ordinal));
        }
    }

    private static Machine Small()
    {
        var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
        machine.Memory.MapRam(new Gpa(0x8000_0000), 4 << 20);
        machine.Memory.MapRom(new Gpa(0x1000_0000), 1 << 20);
        machine.Memory.MapRam(new Gpa(0x9000_0000), 1 << 20);
        return machine;
    }
}
