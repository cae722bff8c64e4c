using VirtKit.Memory;

namespace VirtKit.State;

/// <summary>The whole state of a machine at one moment, as a value: <see cref="Machine.Capture"/> makes one, and any number of machines are made from it
/// (<see cref="Machine.Restore"/>), in this process or, through a file, in another one.</summary>
/// <remarks>Immutable. Thread-safe, but for <see cref="Dispose"/>. Memory takes what the guest has in it: pages of zeroes take nothing. One that is never disposed of is released by the
/// garbage collector.</remarks>
/// <example>
/// <code>
/// using var snapshot = machine.Capture();
/// await snapshot.SaveAsync("debian.vksnap");
/// using var loaded = await VirtKit.State.MachineSnapshot.LoadAsync("debian.vksnap");
/// </code>
/// </example>
public sealed partial class MachineSnapshot : IDisposable
{
    private const int PageSize = (int)AddressSpace.PageSize;

    private readonly ReadOnlyMemory<byte> _state;
    private readonly SnapshotRegion[] _regions;
    private readonly SnapshotHeader _header;
    private bool _isDisposed;

    private MachineSnapshot(SnapshotHeader header, SnapshotRegion[] regions, ReadOnlyMemory<byte> state) => (_header, _regions, _state) = (header, regions, state);

    /// <summary>The architecture of the machine with what its state depends on, for people.</summary>
    public string Architecture => _header.Architecture;

    /// <summary>How many vCPUs the machine has.</summary>
    public int VcpuCount => _header.VcpuCount;

    /// <summary>The length of all the machine's memory in bytes, of which the snapshot holds what is not zero.</summary>
    public ulong MemorySize => _regions.Aggregate(0UL, (sum, region) => sum + region.Size);

    /// <summary>Everything but memory, as records.</summary>
    internal ReadOnlyMemory<byte> State => _state;

    /// <summary>Releases the memory. Machines that were restored from it keep what they show of it.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        foreach (SnapshotRegion region in _regions)
            region.Memory.Discard();
    }

    /// <summary>Captures a machine that the current thread owns.</summary>
    internal static MachineSnapshot Of(Machine machine)
    {
        var writer = new StateWriter();
        machine.VisitOwned(writer);
        List<SnapshotRegion> regions = [];
        try
        {
            foreach (MemoryRegion region in machine.Memory.Regions.Where(region => region.IsMemory))
            {
                var copy = new SnapshotRegion(region.Start.Value, region.Size, region.IsWritable, HostMemory.Allocate(region.Size));
                regions.Add(copy);
                copy.TakeFrom(region.Memory!);
            }
        }
        catch
        {
            foreach (SnapshotRegion region in regions)
                region.Memory.Discard();
            throw;
        }

        return new MachineSnapshot(new SnapshotHeader(machine), [.. regions], writer.Written);
    }

    /// <summary>Restores a machine that the current thread owns.</summary>
    internal void ApplyTo(Machine machine)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        MemoryRegion[] regions = [.. machine.Memory.Regions.Where(region => region.IsMemory)];
        RequireFit(machine, regions);
        for (int i = 0; i < regions.Length; i++)
            regions[i].Memory!.ShowCopyOf(_regions[i].Memory);
        machine.Memory.NoteReplaced();
        var reader = new StateReader(_state);
        machine.VisitOwned(reader);
        reader.End();
    }

    /// <exception cref="InvalidSnapshotException">The machine is composed otherwise.</exception>
    private void RequireFit(Machine machine, MemoryRegion[] regions)
    {
        var header = new SnapshotHeader(machine);
        Require(header.Architecture == _header.Architecture, $"The snapshot is of {_header.Architecture}, and the machine is {header.Architecture}.");
        Require(header.VcpuCount == _header.VcpuCount, $"The snapshot has {_header.VcpuCount} vCPUs, and the machine {header.VcpuCount}.");
        for (int i = 0; i < Math.Max(regions.Length, _regions.Length); i++)
        {
            SnapshotRegion? saved = i < _regions.Length ? _regions[i] : null;
            MemoryRegion? region = i < regions.Length ? regions[i] : null;
            Require(saved is not null && region is not null && (saved.Start, saved.Size, saved.IsWritable) == (region.Start.Value, region.Size, region.IsWritable),
                $"The snapshot has {saved?.ToString() ?? "no further memory"}, and the machine {(region is null ? "no further memory" : SnapshotRegion.Describe(region.Start.Value, region.Size, region.IsWritable))}.");
        }

        var current = new StateWriter();
        machine.VisitOwned(current);
        List<string> saves = StateReader.PartsOf(_state), has = StateReader.PartsOf(current.Written);
        int same = saves.Zip(has).TakeWhile(pair => pair.First == pair.Second).Count();
        Require(same == saves.Count && same == has.Count,
            $"The snapshot goes on with {saves.ElementAtOrDefault(same) ?? "nothing"}, and the machine with {has.ElementAtOrDefault(same) ?? "nothing"}: they have other devices.");

        static void Require(bool holds, string reason)
        {
            if (!holds)
                throw new InvalidSnapshotException(reason);
        }
    }
}

/// <summary>What a snapshot's machine is.</summary>
internal sealed record SnapshotHeader(string Architecture, int VcpuCount)
{
    public SnapshotHeader(Machine machine)
        : this(machine.Architecture.Identity, machine.Vcpus.Count)
    {
    }
}

/// <summary>The content of one region of memory.</summary>
internal sealed unsafe record SnapshotRegion(ulong Start, ulong Size, bool IsWritable, HostMemory Memory)
{
    private const int PageSize = (int)AddressSpace.PageSize;

    public static string Describe(ulong start, ulong size, bool isWritable) => $"{size >> 10} KiB of {(isWritable ? "RAM" : "ROM")} at 0x{start:x}";

    public override string ToString() => Describe(Start, Size, IsWritable);

    /// <summary>Copies the pages that hold something.</summary>
    public void TakeFrom(HostMemory source)
    {
        foreach ((long offset, int length) in Pieces(source, 16 << 20))
            Memory.Fill(offset, new ReadOnlySpan<byte>(source.Pointer + offset, length));
        GC.KeepAlive(source);
    }

    /// <summary>The pages that hold something, as ranges of at most so many bytes.</summary>
    public IEnumerable<(long Offset, int Length)> Pieces(int most) => Pieces(Memory, most);

    public Span<byte> Bytes(long offset, int length) => new(Memory.Pointer + offset, length);

    /// <summary>As <see cref="Bytes"/>, for a stream.</summary>
    public ReadOnlyMemory<byte> BytesOf(long offset, int length) => new NativeMemoryManager(Memory.Pointer + offset, length).Memory;

    private static IEnumerable<(long Offset, int Length)> Pieces(HostMemory memory, int most)
    {
        foreach ((long offset, long length) in memory.DataRanges())
        {
            long begin = -1;
            for (long page = offset; page < offset + length; page += PageSize)
            {
                bool isZero = IsZero(memory, page);
                if (begin >= 0 && (isZero || page - begin == most))
                {
                    yield return (begin, (int)(page - begin));
                    begin = -1;
                }

                if (begin < 0 && !isZero)
                    begin = page;
            }

            if (begin >= 0)
                yield return (begin, (int)(offset + length - begin));
        }
    }

    private static bool IsZero(HostMemory memory, long page) => !new ReadOnlySpan<byte>(memory.Pointer + page, PageSize).ContainsAnyExcept((byte)0);
}
