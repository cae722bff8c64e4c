using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Memory;

namespace VirtKit;

/// <summary>The guest physical address space of a machine, or its port space: RAM, ROM and device windows, and the bus that dispatches to devices.</summary>
/// <remarks>
/// The map is an immutable snapshot that is swapped when something is mapped or unmapped. Reading, writing and dispatching are thread-safe; accesses to one device
/// are serialised. Code that is written while no vCPU runs is what runs when one starts, on every engine; for code that is written while vCPUs run, also by devices, the
/// guest's architecture says when it shows (on RISC-V at a fence.i). Spans and pointers into RAM stay valid until the region is unmapped or the space is disposed, which
/// the caller does only while no vCPU runs.
/// </remarks>
public sealed unsafe class AddressSpace : IDisposable
{
    /// <summary>The unit of RAM mappings, in bytes.</summary>
    public const int PageSize = 4096;

    private readonly Lock _mapGate = new();
    private volatile MemoryRegion[] _regions = [];
    private bool _disposed;

    /// <summary>Counts the writes through this object: those of the host and of devices, not those of vCPUs.</summary>
    private long _writes;

    /// <summary>Whether a span has ever been handed out, through which may be written at any time.</summary>
    private volatile bool _lendsSpans;

    /// <summary>Raised after the map has changed, on the thread that changed it: engines drop what they cached.</summary>
    public event Action? Changed;

    /// <summary>Raised when a device threw, which a guest must not be able to cause. The access then behaves as one to nowhere.</summary>
    public event Action<IDevice, Exception>? DeviceFailed;

    /// <summary>The current mappings in ascending order, as a snapshot.</summary>
    public IReadOnlyList<MemoryRegion> Regions => _regions;

    /// <summary>Maps zeroed RAM.</summary>
    /// <param name="start">First address, a multiple of <see cref="PageSize"/>.</param>
    /// <param name="size">Length in bytes, a positive multiple of <see cref="PageSize"/>. The host commits pages as they are touched.</param>
    /// <param name="name">A name for logs.</param>
    /// <exception cref="ArgumentException">Not aligned, empty, past the end of the space, or overlapping another mapping.</exception>
    /// <exception cref="VirtKitException">The host has no such memory.</exception>
    public MemoryRegion MapRam(Gpa start, ulong size, string name = "ram") => MapMemory(start, size, name, writable: true);

    /// <summary>Maps zeroed memory that the guest can only read; the host fills it through <see cref="Write(Gpa, ReadOnlySpan{byte})"/>.</summary>
    /// <inheritdoc cref="MapRam"/>
    public MemoryRegion MapRom(Gpa start, ulong size, string name = "rom") => MapMemory(start, size, name, writable: false);

    /// <summary>Maps a device's register window.</summary>
    /// <param name="start">Address of the device's offset 0, a multiple of the widest access that the device declares.</param>
    /// <param name="device">The device.</param>
    /// <exception cref="ArgumentException">Not aligned, an empty window, past the end of the space, or overlapping another mapping.</exception>
    public MemoryRegion Map(Gpa start, IDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        DeviceWindow window = device.Window;
        if ((window.Widths & ~AccessWidths.Any) != 0 || window.Widths == 0)
            throw new ArgumentException($"Device {window.Name} declares no valid access width.", nameof(device));
        // An offset is then aligned where its address is. Port space has byte-wide registers at odd addresses.
        ulong widest = 1ul << BitOperations.Log2((uint)window.Widths);
        if (start.Value % widest != 0)
            throw new ArgumentException($"{window.Name} at {start} is not at a multiple of {widest}, its widest access.", nameof(start));
        return Insert(new MemoryRegion(window.Name, start, window.Size, null, device, writable: true));
    }

    /// <summary>Takes a mapping away. No vCPU runs meanwhile; the memory of a RAM region is released.</summary>
    /// <exception cref="ArgumentException">The region is not mapped here.</exception>
    public void Unmap(MemoryRegion region)
    {
        ArgumentNullException.ThrowIfNull(region);
        lock (_mapGate)
        {
            MemoryRegion[] regions = _regions;
            if (!regions.Contains(region))
                throw new ArgumentException($"Region {region.Name} is not mapped.", nameof(region));
            _regions = [.. regions.Where(r => r != region)];
        }

        Changed?.Invoke();
        region.Memory?.Dispose();
    }

    /// <summary>The mapping that holds an address, or <see langword="null"/>.</summary>
    public MemoryRegion? Find(Gpa address)
    {
        MemoryRegion[] regions = _regions;
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

    /// <summary>A view of memory, never a copy: stores through it are the guest's own bytes.</summary>
    /// <param name="address">First byte.</param>
    /// <param name="length">Length in bytes, 0 or more; the range has to lie in one RAM region.</param>
    /// <param name="span">The view, or an empty span.</param>
    /// <returns>Whether the whole range is writable RAM of one region.</returns>
    public bool TryGetSpan(Gpa address, int length, out Span<byte> span)
    {
        MemoryRegion? region = Find(address);
        if (region is { IsMemory: true, IsWritable: true } && length >= 0 && (ulong)length <= region.Size - (address - region.Start))
        {
            _lendsSpans = true;
            // SAFETY: the range was checked against the region, whose memory outlives the mapping.
            span = new Span<byte>(region.Memory!.Pointer + (address - region.Start), length);
            return true;
        }

        span = default;
        return false;
    }

    /// <summary>Copies guest memory out. Devices are not accessed.</summary>
    /// <returns>Whether the whole range is RAM or ROM; if not, <paramref name="destination"/> is unspecified.</returns>
    public bool TryRead(Gpa address, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (!TryGetSegment(address, destination.Length, forWrite: false, out Span<byte> segment))
                return false;
            segment.CopyTo(destination);
            destination = destination[segment.Length..];
            address += (ulong)segment.Length;
        }

        return true;
    }

    /// <summary>Copies into guest RAM. Devices are not accessed; ROM refuses.</summary>
    /// <returns>Whether the whole range is RAM; if not, nothing has been written.</returns>
    public bool TryWrite(Gpa address, ReadOnlySpan<byte> source) => IsMemory(address, (ulong)source.Length, forWrite: true) && Copy(address, source, forWrite: true);

    /// <summary>Reads one little-endian value of guest memory as a copy, which a guest cannot change any more while it is validated.</summary>
    /// <typeparam name="T">An unmanaged type whose layout is the guest structure's.</typeparam>
    /// <returns>Whether the whole value lies in RAM or ROM.</returns>
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
    public bool TryWrite<T>(Gpa address, in T value) where T : unmanaged => TryWrite(address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Copies guest memory out.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not wholly RAM or ROM.</exception>
    public void Read(Gpa address, Span<byte> destination)
    {
        if (!TryRead(address, destination))
            throw new ArgumentOutOfRangeException(nameof(address), $"{address}, {destination.Length} bytes: not memory.");
    }

    /// <summary>Copies into guest memory, ROM included: this is how a loader fills it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not wholly RAM or ROM; nothing has been written.</exception>
    public void Write(Gpa address, ReadOnlySpan<byte> source)
    {
        if (!IsMemory(address, (ulong)source.Length, forWrite: false) || !Copy(address, source, forWrite: false))
            throw new ArgumentOutOfRangeException(nameof(address), $"{address}, {source.Length} bytes: not memory.");
    }

    /// <summary>A vCPU's load from an address that it cannot reach directly: dispatched to a device, or read from memory.</summary>
    /// <param name="address">The address; on a device it has to be aligned to <paramref name="size"/>.</param>
    /// <param name="size">Width in bytes: 1, 2, 4 or 8.</param>
    /// <param name="value">The value, zero-extended; all ones where nothing answers.</param>
    /// <returns>Whether something answered; if not, the architecture's access fault is due.</returns>
    public bool TryLoad(Gpa address, int size, out ulong value)
    {
        MemoryRegion? region = Find(address);
        if (region?.Device is { } device)
        {
            if (Accepts(region, address, size))
            {
                try
                {
                    lock (device)
                        value = device.Read(address - region.Start, size) & Mask(size);
                    return true;
                }
                catch (Exception e) when (e is not OutOfMemoryException)
                {
                    DeviceFailed?.Invoke(device, e);
                }
            }
        }
        else if (region is not null)
        {
            Span<byte> bytes = stackalloc byte[8];
            bytes.Clear();
            if (TryRead(address, bytes[..size]))
            {
                value = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
                return true;
            }
        }

        value = Mask(size);
        return false;
    }

    /// <summary>A vCPU's store to an address that it cannot reach directly: dispatched to a device, or written to RAM.</summary>
    /// <param name="address">The address; on a device it has to be aligned to <paramref name="size"/>.</param>
    /// <param name="size">Width in bytes: 1, 2, 4 or 8.</param>
    /// <param name="value">The value; bits above <paramref name="size"/> are ignored.</param>
    /// <returns>Whether something took it; if not, the architecture's access fault is due.</returns>
    public bool TryStore(Gpa address, int size, ulong value)
    {
        MemoryRegion? region = Find(address);
        if (region?.Device is { } device)
        {
            if (!Accepts(region, address, size))
                return false;
            try
            {
                lock (device)
                    device.Write(address - region.Start, size, value & Mask(size));
                return true;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                DeviceFailed?.Invoke(device, e);
                return false;
            }
        }

        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return TryWrite(address, bytes[..size]);
    }

    /// <summary>Releases all RAM. No vCPU runs any more.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        foreach (MemoryRegion region in _regions)
            region.Memory?.Dispose();
        _regions = [];
    }

    private static ulong Mask(int size) => size == 8 ? ulong.MaxValue : (1UL << (size * 8)) - 1;

    private static bool Accepts(MemoryRegion region, Gpa address, int size)
    {
        ulong offset = address - region.Start;
        return ((int)region.Device!.Window.Widths & size) != 0 && (offset & ((ulong)size - 1)) == 0 && (ulong)size <= region.Size - offset;
    }

    private MemoryRegion MapMemory(Gpa start, ulong size, string name, bool writable)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (size == 0 || size % PageSize != 0 || start.Value % PageSize != 0)
            throw new ArgumentException($"Memory at {start}, {size} bytes: start and size have to be multiples of {PageSize}.", nameof(size));
        if (size > long.MaxValue)
            throw new ArgumentException($"{size} bytes of memory are too many.", nameof(size));
        CheckFree(_regions, name, start, size);
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
        if (region.Size == 0 || region.Start.Value > ulong.MaxValue - (region.Size - 1))
            throw new ArgumentException($"{region.Name} at {region.Start}, {region.Size} bytes: empty or past the end.", nameof(region));
        lock (_mapGate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            MemoryRegion[] regions = _regions;
            CheckFree(regions, region.Name, region.Start, region.Size);
            _regions = [.. regions.Append(region).OrderBy(r => r.Start)];
        }

        Changed?.Invoke();
        return region;
    }

    private static void CheckFree(MemoryRegion[] regions, string name, Gpa start, ulong size)
    {
        ulong last = start.Value + (size - 1);
        if (last < start.Value)
            throw new ArgumentException($"{name} at {start}, {size} bytes, ends past the address space.", nameof(size));
        foreach (MemoryRegion other in regions)
        {
            if (start.Value <= other.Start.Value + (other.Size - 1) && other.Start.Value <= last)
                throw new ArgumentException($"{name} at {start}, {size} bytes, overlaps {other.Name} at {other.Start}, {other.Size} bytes.", nameof(start));
        }
    }

    private bool TryGetSegment(Gpa address, int length, bool forWrite, out Span<byte> segment)
    {
        MemoryRegion? region = Find(address);
        if (region is not { IsMemory: true } || (forWrite && !region.IsWritable))
        {
            segment = default;
            return false;
        }

        ulong offset = address - region.Start;
        // SAFETY: the length is cut to what the region holds from this offset on.
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

    private bool Copy(Gpa address, ReadOnlySpan<byte> source, bool forWrite)
    {
        while (!source.IsEmpty)
        {
            if (!TryGetSegment(address, source.Length, forWrite, out Span<byte> segment))
                return false;
            source[..segment.Length].CopyTo(segment);
            source = source[segment.Length..];
            address += (ulong)segment.Length;
        }

        Interlocked.Increment(ref _writes);
        return true;
    }
}
