using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>Memory accesses that missed the TLB: translation, devices, page crossings, atomics.</summary>
/// <remarks>What a fault reports (RV-Priv §3.1.16): the access's own address, or, where it crosses into a page that faults, the first byte in that page; for a cache block
/// the address in rs1 as it stands there (RV-Unpriv §19.3), not the block's. Nothing is read or written before all of it may be.</remarks>
internal sealed unsafe partial class Hart
{
    private const int CacheBlockSize = 64;

    public override bool Load(ulong address, int size, out ulong value)
    {
        value = 0;
        if (CrossesPage(address, size))
            return CheckPages(address, size, MemoryAccess.Load) && LoadBytes(address, size, out value);

        if (Mmu.TranslateData(address, size, MemoryAccess.Load, out ulong physical, out MemoryRegion? region) is { } cause)
            return Trap(cause, address);
        if (region is { IsMemory: true })
        {
            value = Read(Pointer(region, physical), size);
            return true;
        }

        MmioAccesses++;
        return System.Memory.TryLoad(region, new Gpa(physical), size, out value) || Trap(TrapCause.LoadAccessFault, address);
    }

    public override bool Store(ulong address, int size, ulong value)
    {
        if (CrossesPage(address, size))
            return CheckPages(address, size, MemoryAccess.Store) && StoreBytes(address, size, value);

        if (Mmu.TranslateData(address, size, MemoryAccess.Store, out ulong physical, out MemoryRegion? region) is { } cause)
            return Trap(cause, address);
        if (region is { IsMemory: true, IsWritable: true })
        {
            Write(Pointer(region, physical), size, value);
            return true;
        }

        // A store to ROM is ignored.
        if (region is { IsMemory: true })
            return true;
        if (region is not null)
            MmioAccesses++;
        return System.Memory.TryStore(region, new Gpa(physical), size, value) || Trap(TrapCause.StoreAccessFault, address);
    }

    public override bool LoadReserved(ulong address, int size, out ulong value)
    {
        value = 0;
        if ((address & (ulong)(size - 1)) != 0)
            return Trap(TrapCause.LoadMisaligned, address);
        if (Mmu.TranslateData(address, size, MemoryAccess.Load, out ulong physical, out MemoryRegion? region) is { } cause)
            return Trap(cause, address);
        if (region is not { IsMemory: true })
            return Trap(TrapCause.LoadAccessFault, address);
        value = size == 4 ? Volatile.Read(ref *(uint*)Pointer(region, physical)) : Volatile.Read(ref *(ulong*)Pointer(region, physical));
        State.Reservation = physical;
        State.ReservedValue = value;
        return true;
    }

    public override bool StoreConditional(ulong address, int size, ulong value, out ulong failed)
    {
        failed = 1;
        if (!ReachForAtomic(address, size, out byte* pointer, out ulong physical))
            return false;
        bool reserved = State.Reservation == physical;
        State.Reservation = ulong.MaxValue;
        if (!reserved)
            return true;
        // The reservation holds while the bytes are what LR saw; a store of the same value by another hart in between goes unseen, as on QEMU.
        bool stored = size == 4
            ? Interlocked.CompareExchange(ref *(uint*)pointer, (uint)value, (uint)State.ReservedValue) == (uint)State.ReservedValue
            : Interlocked.CompareExchange(ref *(ulong*)pointer, value, State.ReservedValue) == State.ReservedValue;
        failed = stored ? 0u : 1u;
        return true;
    }

    public override bool Atomic(AtomicOperation operation, ulong address, int size, ulong operand, out ulong old)
    {
        old = 0;
        if (!ReachForAtomic(address, size, out byte* pointer, out _))
            return false;
        old = AtomicMemory.Exchange(operation, pointer, size, operand);
        return true;
    }

    /// <summary>Zeroes a cache block (cbo.zero). Devices do not support it: their windows have no blocks.</summary>
    /// <param name="address">Any address in the block.</param>
    public bool ZeroBlock(ulong address)
    {
        if (Mmu.TranslateData(BlockOf(address), CacheBlockSize, MemoryAccess.Store, out ulong physical, out MemoryRegion? region) is { } cause)
            return Trap(cause, address);
        if (region is not { IsMemory: true, IsWritable: true })
            return Trap(TrapCause.StoreAccessFault, address);
        // SAFETY: a block is aligned to its size, so it lies in the page that was translated.
        new Span<byte>(Pointer(region, physical), CacheBlockSize).Clear();
        return true;
    }

    /// <summary>Whether a cache block may be managed: any permission to access it is enough (Zicbom).</summary>
    /// <param name="address">Any address in the block.</param>
    public bool CheckBlock(ulong address)
    {
        if (Mmu.TranslateData(BlockOf(address), CacheBlockSize, MemoryAccess.Load, out _, out MemoryRegion? region) is not null
            && Mmu.TranslateData(BlockOf(address), CacheBlockSize, MemoryAccess.Store, out _, out region) is { } cause)
            return Trap(cause, address);
        return region is not null || Trap(TrapCause.StoreAccessFault, address);
    }

    private static ulong BlockOf(ulong address) => address & ~(ulong)(CacheBlockSize - 1);

    /// <summary>Whether an access that crosses into the next page may be done in both.</summary>
    private bool CheckPages(ulong address, int size, MemoryAccess access)
    {
        int inFirst = (int)(0x1000 - (address & 0xfff));
        ulong next = address + (ulong)inFirst;
        if (Mmu.TranslateData(address, inFirst, access, out _, out MemoryRegion? region) is { } cause)
            return Trap(cause, address);
        if (!IsThere(region, access))
            return Trap(access == MemoryAccess.Load ? TrapCause.LoadAccessFault : TrapCause.StoreAccessFault, address);
        if (Mmu.TranslateData(next, size - inFirst, access, out _, out region) is { } nextCause)
            return Trap(nextCause, next);
        return IsThere(region, access) || Trap(access == MemoryAccess.Load ? TrapCause.LoadAccessFault : TrapCause.StoreAccessFault, next);
    }

    private static bool IsThere(MemoryRegion? region, MemoryAccess access) => region is not null && (access == MemoryAccess.Load || region.IsWritable);

    private bool LoadBytes(ulong address, int size, out ulong value)
    {
        value = 0;
        for (int i = 0; i < size; i++)
        {
            if (!Load(address + (ulong)i, 1, out ulong part))
                return false;
            value |= part << (8 * i);
        }

        return true;
    }

    private bool StoreBytes(ulong address, int size, ulong value)
    {
        for (int i = 0; i < size; i++)
        {
            if (!Store(address + (ulong)i, 1, value >> (8 * i)))
                return false;
        }

        return true;
    }

    private bool ReachForAtomic(ulong address, int size, out byte* pointer, out ulong physical)
    {
        pointer = null;
        physical = 0;
        if ((address & (ulong)(size - 1)) != 0)
            return Trap(TrapCause.StoreMisaligned, address);
        if (Mmu.TranslateData(address, size, MemoryAccess.Store, out physical, out MemoryRegion? region) is { } cause)
            return Trap(cause, address);
        if (region is not { IsMemory: true, IsWritable: true })
            return Trap(TrapCause.StoreAccessFault, address);
        pointer = Pointer(region, physical);
        return true;
    }

    private static bool CrossesPage(ulong address, int size) => (address & 0xfff) + (ulong)size > 0x1000;

    // SAFETY: the translation put the physical address inside the region, and no access crosses a page, of which regions are multiples.
    private static byte* Pointer(MemoryRegion region, ulong physical) => (byte*)region.HostAddress + (physical - region.Start.Value);

    private static ulong Read(byte* pointer, int size) => size switch
    {
        1 => *pointer,
        2 => *(ushort*)pointer,
        4 => *(uint*)pointer,
        _ => *(ulong*)pointer,
    };

    private static void Write(byte* pointer, int size, ulong value)
    {
        switch (size)
        {
            case 1:
                *pointer = (byte)value;
                break;
            case 2:
                *(ushort*)pointer = (ushort)value;
                break;
            case 4:
                *(uint*)pointer = (uint)value;
                break;
            default:
                *(ulong*)pointer = value;
                break;
        }
    }
}
