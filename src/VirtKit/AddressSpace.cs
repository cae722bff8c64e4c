using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Boot;
using VirtKit.Engines;
using VirtKit.Memory;
using VirtKit.Scheduling;

namespace VirtKit;

/// <summary>The guest physical address space of a machine, or its port space: RAM, ROM and device windows, and the bus that dispatches to devices.</summary>
/// <remarks>
/// The map is an immutable snapshot that is swapped when something is mapped or unmapped. Reading, writing and dispatching are thread-safe; accesses to one device
/// are serialised. Code that is written while no vCPU runs is what runs when one starts, on every engine; for code that is written while vCPUs run, also by devices, the
/// guest's architecture says when it shows (on RISC-V at a fence.i).
/// A machine's memory is released with the machine: from then on every member but the events throws <see cref="ObjectDisposedException"/>. A space of
/// its own is released by the garbage collector.
/// A span holds the guest's bytes until its region is unmapped or the machine disposed of; who uses it later, on another thread, reads unspecified bytes and stores to
/// nowhere, but reaches no memory of anybody else as long as something still refers to the <see cref="MemoryRegion"/> or, after the machine's disposal, to this object.
/// A pointer from <see cref="MemoryRegion.HostAddress"/> is good for as long as a span.
/// </remarks>
/// <example>
/// Memory is mapped, written, read as a copy, and reached without one:
/// <code>
/// MemoryRegion ram = machine.Memory.MapRam(new Gpa(0x8000_0000), 1 &lt;&lt; 20);
/// machine.Memory.Write(ram.Start, [1, 2, 3, 4]);
/// if (machine.Memory.TryRead(ram.Start, out uint word))
///     Console.WriteLine($"0x{word:x8}");
/// if (machine.Memory.TryGetSpan(ram.Start, 4096, out Span&lt;byte&gt; page))
///     page.Clear();
/// </code>
/// </example>
public sealed unsafe partial class AddressSpace
{
    /// <summary>The unit of RAM mappings, in bytes.</summary>
    public const int PageSize = 4096;

    private readonly Lock _mapGate = new();

    /// <summary>The mappings in ascending order; <see langword="null"/> once they have been released.</summary>
    private volatile MemoryRegion[]? _regions = [];

    /// <summary>What spans of other threads may still point into: kept from the finalizer as long as this object is.</summary>
    private MemoryRegion[] _released = [];
    private LoadLedger? _loaded;

    /// <summary>Counts the writes through this object: those of the host and of devices, not those of vCPUs.</summary>
    private long _writes;

    /// <summary>Whether a span has ever been handed out, through which may be written at any time.</summary>
    private volatile bool _lendsSpans;

    /// <summary>Raised after the map has changed, on the thread that changed it: engines drop what they cached.</summary>
    public event Action? Changed;

    /// <summary>Raised behind a write through this object, on the thread that wrote.</summary>
    internal event Action<Gpa, ulong>? Written;

    /// <summary>Raised when a device threw, which a guest must not be able to cause. The access then behaves as one to nowhere.</summary>
    public event Action<IDevice, Exception>? DeviceFailed;

    /// <summary>The current mappings in ascending order, as a snapshot.</summary>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public IReadOnlyList<MemoryRegion> Regions => Map();

    /// <summary>Whether the machine of this memory has been disposed of. Any thread; a device that a backend's thread calls may find it so in the middle of its work.</summary>
    public bool IsDisposed => _regions is null;

    /// <summary>The gate of the machine that this memory belongs to, or <see langword="null"/>: the map changes only while no vCPU runs.</summary>
    internal MachineGate? Gate { get; set; }

    /// <summary>What the host's loaders have claimed of this memory since power-on. Loaders and boards enter what they load, and refuse what overlaps.</summary>
    public LoadLedger Loaded => _loaded ?? Interlocked.CompareExchange(ref _loaded, new LoadLedger(this), null) ?? _loaded;

    /// <summary>Maps zeroed RAM.</summary>
    /// <param name="start">First address, a multiple of <see cref="PageSize"/>.</param>
    /// <param name="size">Length in bytes, a positive multiple of <see cref="PageSize"/>. The host commits pages as they are touched.</param>
    /// <param name="name">A name for logs.</param>
    /// <exception cref="ArgumentException">Not aligned, empty, past the end of the space, or overlapping another mapping.</exception>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    /// <exception cref="VirtKitException">The host has no such memory.</exception>
    public MemoryRegion MapRam(Gpa start, ulong size, string name = "ram") => MapMemory(start, size, name, writable: true);

    /// <summary>Maps zeroed memory that the guest can only read: its stores are ignored. The host fills it through <see cref="Write(Gpa, ReadOnlySpan{byte})"/>.</summary>
    /// <inheritdoc cref="MapRam"/>
    public MemoryRegion MapRom(Gpa start, ulong size, string name = "rom") => MapMemory(start, size, name, writable: false);

    /// <summary>Maps a device's register window.</summary>
    /// <param name="start">Address of the device's offset 0, a multiple of the widest access that the device declares.</param>
    /// <param name="device">The device.</param>
    /// <exception cref="ArgumentException">Not aligned, an empty window, past the end of the space, or overlapping another mapping; or the device is mapped
    /// already, in this space or in another machine's: its registers would be one state at two places. The memory and the port space of one machine may share it.</exception>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public MemoryRegion Map(Gpa start, IDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        DeviceWindow window = device.Window;
        if (window.Name is null)
            throw new ArgumentException("The device's window has no name.", nameof(device));
        if ((window.Widths & ~AccessWidths.Any) != 0 || window.Widths == 0)
            throw new ArgumentException($"Device {window.Name} declares no valid access width.", nameof(device));
        // An offset is then aligned where its address is. Port space has byte-wide registers at odd addresses.
        ulong widest = 1ul << BitOperations.Log2((uint)window.Widths);
        if (start.Value % widest != 0)
            throw new ArgumentException($"{window.Name} at {start} is not at a multiple of {widest}, its widest access.", nameof(start));
        CheckRange(window.Name, start, window.Size, nameof(start));
        MappedDevices.Claim(device, this);
        try
        {
            return Insert(new MemoryRegion(window.Name, start, window.Size, null, device, writable: true));
        }
        catch
        {
            MappedDevices.Release(device, this);
            throw;
        }
    }

    /// <summary>Takes a mapping away. No vCPU runs meanwhile; the memory of a RAM region is released.</summary>
    /// <param name="region">The mapping, one of <see cref="Regions"/>.</param>
    /// <exception cref="ArgumentException">The region is not mapped here.</exception>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public void Unmap(MemoryRegion region)
    {
        ArgumentNullException.ThrowIfNull(region);
        using (new MachineHold(Gate, "AddressSpace.Unmap"))
        {
            lock (_mapGate)
            {
                MemoryRegion[] regions = Map();
                if (!regions.Contains(region))
                    throw new ArgumentException($"Region {region.Name} is not mapped.", nameof(region));
                _regions = [.. regions.Where(r => r != region)];
            }

            Changed?.Invoke();
            _loaded?.Forget(region.Start, region.Size);
            Release(region);
        }
    }

    /// <summary>The mapping that holds an address, or <see langword="null"/>.</summary>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public MemoryRegion? Find(Gpa address)
    {
        MemoryRegion[] regions = Map();
        int low = 0, high = regions.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            MemoryRegion region = regions[middle];
            if (address < region.Start)
                high = middle - 1;
            else if (region.Contains(address))
                return region;
            else
                low = middle + 1;
        }

        return null;
    }

    /// <summary>Whether memory may have been written, except by vCPUs, since a caller asked last: then a vCPU that starts now has to look whether the code that it keeps is
    /// still what memory holds.</summary>
    /// <param name="seen">What the caller keeps for this, 0 at first.</param>
    internal bool MayBeWrittenSince(ref long seen)
    {
        long writes = Volatile.Read(ref _writes);
        bool isWritten = _lendsSpans || writes != seen;
        seen = writes;
        return isWritten;
    }

    /// <summary>A view of memory, never a copy: stores through it are the guest's own bytes. How long it is good is said at <see cref="AddressSpace"/>.</summary>
    /// <param name="address">First byte.</param>
    /// <param name="length">Length in bytes, 0 or more; the range has to lie in one RAM region.</param>
    /// <param name="span">The view, or an empty span.</param>
    /// <returns>Whether the whole range is writable RAM of one region.</returns>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public bool TryGetSpan(Gpa address, int length, out Span<byte> span)
    {
        MemoryRegion? region = Find(address);
        if (region is { IsMemory: true, IsWritable: true } && length >= 0 && (ulong)length <= region.Size - (address - region.Start))
        {
            _lendsSpans = true;
            // SAFETY: the range was checked against the region, whose addresses stay mapped as long as anything refers to the space or the region.
            span = new Span<byte>(region.Memory!.Pointer + (address - region.Start), length);
            return true;
        }

        span = default;
        return false;
    }

    /// <summary>Copies guest memory out. Devices are not accessed.</summary>
    /// <returns>Whether the whole range is RAM or ROM; if not, <paramref name="destination"/> is unspecified.</returns>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public bool TryRead(Gpa address, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (!TryGetSegment(address, destination.Length, forWrite: false, out Span<byte> segment, out MemoryRegion? region))
                return false;
            segment.CopyTo(destination);
            GC.KeepAlive(region);
            destination = destination[segment.Length..];
            address += (ulong)segment.Length;
        }

        return true;
    }

    /// <summary>Copies into guest RAM. Devices are not accessed; ROM refuses.</summary>
    /// <returns>Whether the whole range is RAM; if not, nothing has been written.</returns>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public bool TryWrite(Gpa address, ReadOnlySpan<byte> source) => IsMemory(address, (ulong)source.Length, forWrite: true) && Copy(address, source, forWrite: true);

    /// <summary>Reads one little-endian value of guest memory as a copy, which a guest cannot change any more while it is validated.</summary>
    /// <typeparam name="T">An unmanaged type whose layout is the guest structure's.</typeparam>
    /// <returns>Whether the whole value lies in RAM or ROM.</returns>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public bool TryRead<T>(Gpa address, out T value) where T : unmanaged
    {
        Unsafe.SkipInit(out value);
        if (TryRead(address, MemoryMarshal.AsBytes(new Span<T>(ref value))))
            return true;
        value = default;
        return false;
    }

    /// <summary>Writes one little-endian value to guest RAM.</summary>
    /// <typeparam name="T">An unmanaged type whose layout is the guest structure's.</typeparam>
    /// <returns>Whether the whole value lies in RAM; if not, nothing has been written.</returns>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public bool TryWrite<T>(Gpa address, in T value) where T : unmanaged => TryWrite(address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Copies guest memory out.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not wholly RAM or ROM.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public void Read(Gpa address, Span<byte> destination)
    {
        if (!TryRead(address, destination))
            throw new ArgumentOutOfRangeException(nameof(address), $"{address}, {destination.Length} bytes: not memory.");
    }

    /// <summary>Copies into guest memory, ROM included: this is how a loader fills it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not wholly RAM or ROM; nothing has been written.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public void Write(Gpa address, ReadOnlySpan<byte> source)
    {
        if (!IsMemory(address, (ulong)source.Length, forWrite: false) || !Copy(address, source, forWrite: false))
            throw new ArgumentOutOfRangeException(nameof(address), $"{address}, {source.Length} bytes: not memory.");
    }

    /// <summary>Says that a device failed outside of an access of the bus, which cannot catch it there: on the thread of a backend. The machine stops with
    /// <see cref="ExitReason.InternalError"/>, as where a register access throws. Any thread; ignored after the machine was disposed of.</summary>
    /// <param name="device">The device.</param>
    /// <param name="error">What it threw.</param>
    public void ReportFailure(IDevice device, Exception error)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(error);
        if (!IsDisposed)
            DeviceFailed?.Invoke(device, error);
    }

    /// <summary>Releases everything that is mapped. No vCPU runs any more.</summary>
    internal void Release()
    {
        lock (_mapGate)
        {
            if (_regions is null)
                return;
            _released = _regions;
            _regions = null;
        }

        foreach (MemoryRegion region in _released)
            Release(region);
    }

    private void Release(MemoryRegion region)
    {
        region.Memory?.Discard();
        if (region.Device is { } device)
            MappedDevices.Release(device, this);
    }

    private MemoryRegion[] Map() => _regions ?? throw new ObjectDisposedException(nameof(AddressSpace), "The machine of this memory has been disposed of.");

    /// <summary>Maps memory that exists already, from 0 on. It goes over to the space.</summary>
    internal MemoryRegion Map(HostMemory memory, string name) => Insert(new MemoryRegion(name, default, memory.Length, memory, null, writable: true));

    private MemoryRegion MapMemory(Gpa start, ulong size, string name, bool writable)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (start.Value % PageSize != 0)
            throw new ArgumentException($"Memory at {start} does not begin at a multiple of {PageSize}.", nameof(start));
        if (size % PageSize != 0 || size > long.MaxValue)
            throw new ArgumentOutOfRangeException(nameof(size), size, $"Memory comes in multiples of {PageSize} bytes, below 2^63.");
        CheckRange(name, start, size, nameof(size));
        CheckFree(Map(), name, start, size);
        HostMemory memory = HostMemory.Allocate(size);
        try
        {
            return Insert(new MemoryRegion(name, start, size, memory, null, writable));
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    private MemoryRegion Insert(MemoryRegion region)
    {
        using var hold = new MachineHold(Gate, "AddressSpace.Map");
        lock (_mapGate)
        {
            MemoryRegion[] regions = Map();
            CheckFree(regions, region.Name, region.Start, region.Size);
            int index = 0;
            while (index < regions.Length && regions[index].Start < region.Start)
                index++;
            _regions = [.. regions[..index], region, .. regions[index..]];
        }

        try
        {
            Changed?.Invoke();
        }
        catch
        {
            // A listener that cannot follow, such as an engine without a free slot, would otherwise leave a mapping that only some of them have.
            lock (_mapGate)
                _regions = [.. Map().Where(r => r != region)];
            Changed?.Invoke();
            throw;
        }

        return region;
    }

    private static void CheckRange(string name, Gpa start, ulong size, string parameter)
    {
        if (size == 0)
            throw new ArgumentException($"{name} at {start} is empty.", parameter);
        if (start.Value > ulong.MaxValue - (size - 1))
            throw new ArgumentException($"{name} at {start}, {size} bytes, ends past the address space.", parameter);
    }

    private static void CheckFree(MemoryRegion[] regions, string name, Gpa start, ulong size)
    {
        ulong last = start.Value + (size - 1);
        foreach (MemoryRegion other in regions)
        {
            if (start.Value <= other.Start.Value + (other.Size - 1) && other.Start.Value <= last)
                throw new ArgumentException($"{name} at {start}, {size} bytes, overlaps {other.Name} at {other.Start}, {other.Size} bytes.", nameof(start));
        }
    }

    /// <summary>The part of a range that lies in one region.</summary>
    /// <param name="region">The region, which the caller keeps alive until it is done: its addresses then stay mapped, also where the machine is disposed of meanwhile.</param>
    private bool TryGetSegment(Gpa address, int length, bool forWrite, out Span<byte> segment, out MemoryRegion? region)
    {
        region = Find(address);
        if (region is not { IsMemory: true } || (forWrite && !region.IsWritable))
        {
            segment = default;
            return false;
        }

        ulong offset = address - region.Start;
        // SAFETY: the length is cut to what the region holds from this offset on; the caller keeps the region alive during the copy.
        segment = new Span<byte>(region.Memory!.Pointer + offset, (int)Math.Min((ulong)length, region.Size - offset));
        return true;
    }

    private bool IsMemory(Gpa address, ulong length, bool forWrite)
    {
        while (length > 0)
        {
            MemoryRegion? region = Find(address);
            if (region is not { IsMemory: true } || (forWrite && !region.IsWritable))
                return false;
            ulong step = Math.Min(length, region.Size - (address - region.Start));
            length -= step;
            address += step;
        }

        return true;
    }

    /// <summary>All of memory has other content: what is kept of code has to be compared. No vCPU runs.</summary>
    internal void NoteReplaced() => Interlocked.Increment(ref _writes);

    private bool Copy(Gpa address, ReadOnlySpan<byte> source, bool forWrite)
    {
        (Gpa start, ulong length) = (address, (ulong)source.Length);
        while (!source.IsEmpty)
        {
            if (!TryGetSegment(address, source.Length, forWrite, out Span<byte> segment, out MemoryRegion? region))
                return false;
            source[..segment.Length].CopyTo(segment);
            GC.KeepAlive(region);
            source = source[segment.Length..];
            address += (ulong)segment.Length;
        }

        Interlocked.Increment(ref _writes);
        Written?.Invoke(start, length);
        return true;
    }
}
