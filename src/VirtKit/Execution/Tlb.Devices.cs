namespace VirtKit.Execution;

/// <summary>The pages in which device windows lie. They have entries of their own: the fast path, which reaches memory, never finds one.</summary>
internal sealed unsafe partial class Tlb
{
    private const int DeviceEntries = 16;

    /// <summary>So many for each table, made with the first.</summary>
    private DeviceEntry[]? _devices;
    private bool _hasDevices;

    /// <summary>Looks up the page of an access in the device pages of a table.</summary>
    /// <param name="region">The mapping that an access to the page went to.</param>
    public bool TryFindDevice(TlbEntry* table, ulong address, out ulong physical, out MemoryRegion? region)
    {
        if (_devices is { } devices)
        {
            ref DeviceEntry entry = ref devices[IndexOf(table, address)];
            physical = entry.Physical | address & 0xfff;
            region = entry.Region;
            return region is not null && entry.Page == (address & ~0xfffUL);
        }

        (physical, region) = (0, null);
        return false;
    }

    /// <summary>Keeps the translation of a page in which a device's window lies.</summary>
    public void AddDevice(TlbEntry* table, ulong page, ulong physical, MemoryRegion region)
    {
        _devices ??= new DeviceEntry[_tableCount * DeviceEntries];
        _devices[IndexOf(table, page)] = new DeviceEntry { Page = page, Physical = physical, Region = region };
        _hasDevices = true;
    }

    private void FlushDevices()
    {
        if (!_hasDevices)
            return;
        _hasDevices = false;
        Array.Clear(_devices!);
    }

    private void FlushDevices(ulong page)
    {
        if (!_hasDevices)
            return;
        for (int table = 0; table < _tableCount; table++)
        {
            ref DeviceEntry entry = ref _devices![IndexOf(_tables + table * TlbEntry.Count, page)];
            if (entry.Page == page)
                entry.Region = null;
        }
    }

    private int IndexOf(TlbEntry* table, ulong address) => (int)((table - _tables) / TlbEntry.Count) * DeviceEntries + (int)(address >> 12 & (DeviceEntries - 1));

    private struct DeviceEntry
    {
        public ulong Page, Physical;
        public MemoryRegion? Region;
    }
}
