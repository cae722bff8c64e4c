using System.Buffers.Binary;
using System.Numerics;

namespace VirtKit;

// The bus: a vCPU's accesses to what is not plain RAM, fitted to what the devices declare.
public sealed unsafe partial class AddressSpace
{
    /// <summary>A vCPU's load from an address that it cannot reach directly: dispatched to a device, or read from memory.</summary>
    /// <param name="address">The address; what becomes of an access that a device does not declare says its <see cref="DeviceWindow.Undeclared"/>.</param>
    /// <param name="size">Width in bytes: 1, 2, 4 or 8.</param>
    /// <param name="value">The value, zero-extended; all ones where nothing answers.</param>
    /// <returns>Whether something answered; if not, the architecture's access fault is due.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such width.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public bool TryLoad(Gpa address, int size, out ulong value)
    {
        CheckWidth(size);
        MemoryRegion? region = Find(address);
        if (region is null or { IsMemory: false })
            return TryLoad(region, address, size, out value);
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        bool isMemory = TryRead(address, bytes[..size]);
        value = isMemory ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : Mask(size);
        return isMemory;
    }

    /// <summary>A vCPU's store to an address that it cannot reach directly: dispatched to a device, or written to RAM. ROM ignores it.</summary>
    /// <param name="address">The address; what becomes of an access that a device does not declare says its <see cref="DeviceWindow.Undeclared"/>.</param>
    /// <param name="size">Width in bytes: 1, 2, 4 or 8.</param>
    /// <param name="value">The value; bits above <paramref name="size"/> are ignored.</param>
    /// <returns>Whether something took it; if not, the architecture's access fault is due.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such width.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public bool TryStore(Gpa address, int size, ulong value)
    {
        CheckWidth(size);
        MemoryRegion? region = Find(address);
        if (region is null or { IsMemory: false })
            return TryStore(region, address, size, value);
        if (!region.IsWritable)
            return IsMemory(address, (ulong)size, forWrite: false);
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return TryWrite(address, bytes[..size]);
    }

    /// <summary>As <see cref="TryLoad(Gpa, int, out ulong)"/>, for who knows what is there.</summary>
    /// <param name="region">The mapping that holds the address: a device's, or <see langword="null"/> for none.</param>
    internal bool TryLoad(MemoryRegion? region, Gpa address, int size, out ulong value) =>
        region is not null && region.Declares(address, size) ? TryReadDevice(region, address, size, out value) : TryLoadUndeclared(region, address, size, out value);

    /// <summary>As <see cref="TryStore(Gpa, int, ulong)"/>, for who knows what is there.</summary>
    /// <param name="region">The mapping that holds the address: a device's, or <see langword="null"/> for none.</param>
    internal bool TryStore(MemoryRegion? region, Gpa address, int size, ulong value) =>
        region is not null && region.Declares(address, size) ? TryWriteDevice(region, address, size, value) : TryStoreUndeclared(region, address, size, value);

    /// <summary>Reads a device's register with an access that it declares.</summary>
    private bool TryReadDevice(MemoryRegion region, Gpa address, int size, out ulong value)
    {
        IDevice device = region.Device!;
        try
        {
            lock (device)
                value = device.Read(address - region.Start, size) & Mask(size);
            return true;
        }
        catch (Exception e)
        {
            ReportFailure(device, e);
            value = Mask(size);
            return false;
        }
    }

    /// <summary>Writes a device's register with an access that it declares.</summary>
    private bool TryWriteDevice(MemoryRegion region, Gpa address, int size, ulong value)
    {
        IDevice device = region.Device!;
        try
        {
            lock (device)
                device.Write(address - region.Start, size, value & Mask(size));
            return true;
        }
        catch (Exception e)
        {
            ReportFailure(device, e);
            return false;
        }
    }

    private bool TryLoadUndeclared(MemoryRegion? region, Gpa address, int size, out ulong value)
    {
        value = Mask(size);
        switch (UndeclaredAt(region, address, size))
        {
            case UndeclaredAccess.Pad when region!.PaddedWidth(address, size) is > 0 and int width:
                if (!TryReadDevice(region, address, width, out ulong register))
                    return false;
                value = register & Mask(size);
                return true;
            case UndeclaredAccess.Split:
                bool any = false;
                for (int i = 0, width; i < size; i += width)
                {
                    MemoryRegion? part = PartAt(address + (ulong)i, size - i, out width);
                    if (part is null || !TryReadDevice(part, address + (ulong)i, width, out ulong piece))
                        continue;
                    any = true;
                    value = value & ~(Mask(width) << i * 8) | piece << i * 8;
                }

                return any;
            default:
                return false;
        }
    }

    private bool TryStoreUndeclared(MemoryRegion? region, Gpa address, int size, ulong value)
    {
        switch (UndeclaredAt(region, address, size))
        {
            case UndeclaredAccess.Pad when region!.PaddedWidth(address, size) is > 0 and int width:
                return TryWriteDevice(region, address, width, value & Mask(size));
            case UndeclaredAccess.Split:
                bool any = false;
                for (int i = 0, width; i < size; i += width)
                {
                    MemoryRegion? part = PartAt(address + (ulong)i, size - i, out width);
                    any |= part is not null && TryWriteDevice(part, address + (ulong)i, width, value >> i * 8);
                }

                return any;
            default:
                return false;
        }
    }

    /// <summary>What becomes of an access that no device takes as it is. One that begins where nothing is may still reach a device on a bus that splits it.</summary>
    private UndeclaredAccess UndeclaredAt(MemoryRegion? region, Gpa address, int size)
    {
        for (int i = 1; region is null && i < size; i++)
        {
            if (Find(address + (ulong)i) is { Undeclared: UndeclaredAccess.Split })
                return UndeclaredAccess.Split;
        }

        if (region is null)
            return UndeclaredAccess.Fault;
        return region.Undeclared != UndeclaredAccess.Split || region.CanSplit(address, size) ? region.Undeclared : UndeclaredAccess.Fault;
    }

    /// <summary>The device that takes the next part of a split access, or <see langword="null"/> where none does.</summary>
    /// <param name="address">Where the part begins.</param>
    /// <param name="left">What is left of the access, in bytes.</param>
    /// <param name="width">The part's width, 1 where none takes it.</param>
    private MemoryRegion? PartAt(Gpa address, int left, out int width)
    {
        MemoryRegion? region = Find(address);
        width = region?.WidestPart(address, 1 << BitOperations.Log2((uint)left)) ?? 0;
        if (width > 0)
            return region;
        width = 1;
        return null;
    }

    private static void CheckWidth(int size)
    {
        if (size is not (1 or 2 or 4 or 8))
            throw new ArgumentOutOfRangeException(nameof(size), size, "An access is 1, 2, 4 or 8 bytes wide.");
    }

    private static ulong Mask(int size) => size == 8 ? ulong.MaxValue : (1UL << (size * 8)) - 1;
}
