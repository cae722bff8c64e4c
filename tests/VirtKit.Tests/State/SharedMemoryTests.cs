using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Interpreter;
using VirtKit.Memory;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.State;

/// <summary>Memory that machines and snapshots share: everybody sees what is theirs.</summary>
public sealed unsafe class SharedMemoryTests
{
    private const int Pages = 4096, PageSize = 4096;

    private static readonly Gpa Start = new(0x8000_0000);

    /// <summary>Machines write, are captured and restored, and snapshots go, in any order: beside a model that has each page's number.</summary>
    [Fact]
    public void MachinesAndSnapshots_InAnyOrder_SeeTheirOwn()
    {
        Random random = Seed.Random();
        (Machine Machine, long[] Pages)[] machines = [.. Enumerable.Range(0, 3).Select(_ => (Create(), new long[Pages]))];
        List<(MachineSnapshot Snapshot, long[] Pages)> snapshots = [];
        long number = 0;
        for (int step = 0; step < 600; step++)
        {
            ref (Machine Machine, long[] Pages) one = ref machines[random.Next(machines.Length)];
            switch (random.Next(10))
            {
                case < 4:
                    // Often more than what is worth giving back.
                    int first = random.Next(Pages), count = random.Next(Pages - first) + 1;
                    for (int page = first; page < first + count; page++)
                        Write(one.Machine, page, one.Pages[page] = random.Next(4) == 0 ? 0 : ++number);
                    break;
                case < 6:
                    snapshots.Add((one.Machine.Capture(), [.. one.Pages]));
                    break;
                case 6 when snapshots.Count > 0:
                    (MachineSnapshot snapshot, long[] pages) = snapshots[random.Next(snapshots.Count)];
                    one.Machine.Restore(snapshot);
                    pages.CopyTo(one.Pages, 0);
                    break;
                case 7 when random.Next(6) == 0:
                    one.Machine.Dispose();
                    one = (Create(), new long[Pages]);
                    break;
                default:
                    Forget(snapshots, random);
                    break;
            }

            Compare(one.Machine, one.Pages, step);
        }

        foreach ((Machine machine, long[] pages) in machines)
        {
            Compare(machine, pages, -1);
            foreach ((MachineSnapshot snapshot, long[] saved) in snapshots)
            {
                machine.Restore(snapshot);
                Compare(machine, saved, -2);
            }

            machine.Dispose();
        }

        snapshots.ForEach(one => one.Snapshot.Dispose());
    }

    /// <summary>Both ways to ask the host find the same pages: those that were written to.</summary>
    [Fact]
    public void OwnPages_ByEitherWay_AreThoseThatWereWritten()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("The pages of a process are found on Linux.");
        Random random = Seed.Random();
        HostMemory origin = HostMemory.Allocate(Pages * PageSize);
        for (int page = 0; page < Pages; page += 2)
            origin.Pointer[page * PageSize] = 1;
        HostMemory view = HostMemory.ViewOf(origin);
        bool[] written = new bool[Pages];
        byte sum = 0;
        for (int page = 0; page < Pages; page++)
        {
            if (random.Next(3) == 0)
                sum += view.Pointer[page * PageSize];
            if (written[page] = random.Next(3) == 0)
                view.Pointer[page * PageSize] = (byte)(page + sum);
        }

        using Microsoft.Win32.SafeHandles.SafeFileHandle map = File.OpenHandle("/proc/self/pagemap");
        List<(long Offset, long Length)> read = [], scanned = [];
        Assert.True(ProcessPages.TryRead(map, (nint)view.Pointer, Pages * PageSize, read));
        Assert.Equal(written, Flatten(read));
        if (ProcessPages.TryScan(map, (nint)view.Pointer, Pages * PageSize, scanned))
            Assert.Equal(read, scanned);
        else
            Assert.True(Environment.OSVersion.Version < new Version(6, 7), "The host does not scan.");
        view.Discard();
        origin.Discard();

        static bool[] Flatten(List<(long Offset, long Length)> ranges)
        {
            bool[] flat = new bool[Pages];
            foreach ((long offset, long length) in ranges)
                flat.AsSpan((int)(offset / PageSize), (int)(length / PageSize)).Fill(true);
            return flat;
        }
    }

    private static Machine Create()
    {
        var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
        machine.Memory.MapRam(Start, Pages * PageSize);
        return machine;
    }

    private static void Write(Machine machine, int page, long number) => machine.Memory.Write(new Gpa(Start.Value + (ulong)page * PageSize), MemoryMarshal.AsBytes(new ReadOnlySpan<long>(in number)));

    private static void Compare(Machine machine, long[] pages, int step)
    {
        Assert.True(machine.Memory.TryGetSpan(Start, Pages * PageSize, out Span<byte> bytes));
        for (int page = 0; page < Pages; page++)
            Assert.True(MemoryMarshal.Read<long>(bytes[(page * PageSize)..]) == pages[page], $"step {step}, page {page}");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(List<(MachineSnapshot Snapshot, long[] Pages)> snapshots, Random random)
    {
        if (snapshots.Count == 0)
            return;
        int gone = random.Next(snapshots.Count);
        if (random.Next(4) != 0)
            snapshots[gone].Snapshot.Dispose();
        snapshots.RemoveAt(gone);
        if (random.Next(10) != 0)
            return;
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }
}
