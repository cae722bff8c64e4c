using System.Buffers.Binary;
using System.IO.Hashing;
using VirtKit.Execution;
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
    private readonly Lock _gate = new();

    /// <summary>What the machine's engine has made of its code, for machines that are restored from this; <see langword="null"/> where there is none.</summary>
    private SharedCode? _code;
    private UInt128? _fingerprint;
    private int _isDisposed;

    private MachineSnapshot(SnapshotHeader header, SnapshotRegion[] regions, ReadOnlyMemory<byte> state) => (_header, _regions, _state) = (header, regions, state);

    /// <summary>The architecture of the machine with what its state depends on, for people.</summary>
    public string Architecture => _header.Architecture;

    /// <summary>How many vCPUs the machine has.</summary>
    public int VcpuCount => _header.VcpuCount;

    /// <summary>The length of all the machine's memory in bytes, of which the snapshot holds what is not zero.</summary>
    public ulong MemorySize => _regions.Aggregate(0UL, (sum, region) => sum + region.Size);

    /// <summary>Identifies the content: XxHash128 of header, state and all pages that hold something.</summary>
    internal UInt128 Fingerprint
    {
        get
        {
            lock (_gate)
                return _fingerprint ??= Hash();
        }
    }

    /// <summary>What the host keeps for this snapshot alone, in bytes: not what it shares with machines and other snapshots.</summary>
    internal long OwnBytes => _state.Length + _regions.Sum(region => region.OwnBytes);

    /// <summary>Everything but memory, as records.</summary>
    internal ReadOnlyMemory<byte> State => _state;

    /// <summary>Releases the memory. Machines that were restored from it keep what they show of it.</summary>
    public void Dispose()
    {
        if (!TryReleaseMemory())
            return;
        GC.SuppressFinalize(this);
        SharedCode? code;
        lock (_gate)
            (code, _code) = (_code, null);
        code?.Release();
    }

    /// <summary>Machines that show the memory learn from this that nobody else needs what they replace. The code has its own finalizers.</summary>
    ~MachineSnapshot() => TryReleaseMemory();

    private bool TryReleaseMemory()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
            return false;
        foreach (SnapshotRegion region in _regions)
        {
            region.ForgetFlattened();
            region.Release();
        }

        return true;
    }

    /// <summary>Captures a machine that the current thread owns.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="sharesCode">Whether other machines are to run what its engine has made of its code.</param>
    internal static MachineSnapshot Of(Machine machine, bool sharesCode = false)
    {
        var writer = new StateWriter();
        machine.VisitOwned(writer);
        List<SnapshotRegion> regions = [];
        try
        {
            foreach (MemoryRegion region in machine.Memory.Regions.Where(region => region.IsMemory))
                regions.Add(SnapshotRegion.Of(region));
        }
        catch
        {
            regions.ForEach(region => region.Release());
            throw;
        }

        return new MachineSnapshot(new SnapshotHeader(machine), [.. regions], writer.Written) { _code = sharesCode ? (machine.Partition as SoftwarePartition)?.ShareCode() : null };
    }

    /// <summary>Restores a machine that the current thread owns.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="kind">What for.</param>
    internal void ApplyTo(Machine machine, RestoreKind kind)
    {
        using Held held = Hold();
        MemoryRegion[] regions = [.. machine.Memory.Regions.Where(region => region.IsMemory)];
        ReadOnlyMemory<byte> before = RequireFit(machine, regions);
        List<HostMemory> views = [];
        try
        {
            // All that can fail comes before the first byte of memory is replaced.
            foreach (SnapshotRegion region in _regions)
                views.Add(region.View());
            Read(machine, _state, before, kind);
        }
        catch
        {
            views.ForEach(view => view.Discard());
            throw;
        }

        for (int i = 0; i < regions.Length; i++)
            _regions[i].GiveTo(regions[i], views[i]);
        machine.Memory.NoteReplaced();
        if (HoldCode() is not { } code)
            return;
        (machine.Partition as SoftwarePartition)?.AdoptCode(code);
        code.Release();
    }

    /// <summary>The code, unless the snapshot has been disposed of meanwhile.</summary>
    private SharedCode? HoldCode()
    {
        lock (_gate)
            return _code?.Hold();
    }

    /// <summary>Gives a machine a state.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="state">The state.</param>
    /// <param name="before">The machine's own, which it keeps where the other one is damaged.</param>
    /// <param name="kind">What for.</param>
    /// <exception cref="InvalidSnapshotException">It is damaged.</exception>
    private static void Read(Machine machine, ReadOnlyMemory<byte> state, ReadOnlyMemory<byte> before, RestoreKind kind)
    {
        try
        {
            var reader = new StateReader(state) { KeepsOutside = kind == RestoreKind.Replay };
            machine.VisitOwned(reader);
            reader.End();
        }
        catch
        {
            machine.VisitOwned(new StateReader(before) { KeepsOutside = kind == RestoreKind.Replay });
            throw;
        }
    }

    private UInt128 Hash()
    {
        using Held held = Hold();
        var hash = new XxHash128();
        hash.Append(WriteHeader());
        hash.Append(_state.Span);
        Span<byte> place = stackalloc byte[16];
        for (int i = 0; i < _regions.Length; i++)
        {
            // Page by page: how they lie together in the host's memory is not part of the content.
            foreach (SnapshotPiece piece in _regions[i].Pieces(PageSize))
            {
                BinaryPrimitives.WriteInt64LittleEndian(place, i);
                BinaryPrimitives.WriteInt64LittleEndian(place[8..], piece.Offset);
                hash.Append(place);
                hash.Append(piece.Bytes);
            }
        }

        return hash.GetCurrentHashAsUInt128();
    }

    /// <summary>Keeps the content, so that a <see cref="Dispose"/> meanwhile takes nothing away from who reads it.</summary>
    /// <exception cref="ObjectDisposedException">The snapshot has been disposed of.</exception>
    private Held Hold()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _isDisposed) != 0, this);
        int held = 0;
        try
        {
            for (; held < _regions.Length; held++)
                _regions[held].Hold();
        }
        catch
        {
            new Held(_regions.AsMemory(0, held)).Dispose();
            throw;
        }

        return new Held(_regions);
    }

    /// <returns>The machine's own state.</returns>
    /// <exception cref="InvalidSnapshotException">The machine is composed otherwise.</exception>
    private ReadOnlyMemory<byte> RequireFit(Machine machine, MemoryRegion[] regions)
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
        // A machine of the state's first version has no such part.
        saves.Remove(Machine.ExitsPart);
        has.Remove(Machine.ExitsPart);
        int same = saves.Zip(has).TakeWhile(pair => pair.First == pair.Second).Count();
        Require(same == saves.Count && same == has.Count,
            $"The snapshot goes on with {saves.ElementAtOrDefault(same) ?? "nothing"}, and the machine with {has.ElementAtOrDefault(same) ?? "nothing"}: they have other devices.");
        return current.Written;

        static void Require(bool holds, string reason)
        {
            if (!holds)
                throw new InvalidSnapshotException(reason);
        }
    }

    private readonly struct Held(ReadOnlyMemory<SnapshotRegion> regions) : IDisposable
    {
        public void Dispose()
        {
            foreach (SnapshotRegion region in regions.Span)
                region.Release();
        }
    }
}

/// <summary>What a machine is restored for.</summary>
internal enum RestoreKind
{
    /// <summary>It goes on by itself.</summary>
    Live,

    /// <summary>It repeats a recorded run: what waits outside is not its own.</summary>
    Replay,
}

/// <summary>What a snapshot's machine is.</summary>
internal sealed record SnapshotHeader(string Architecture, int VcpuCount)
{
    public SnapshotHeader(Machine machine)
        : this(machine.Architecture.Identity, machine.Vcpus.Count)
    {
    }
}
