namespace VirtKit.Accel.Kvm;

/// <summary>The machine's RAM and ROM as the kernel's memory slots: the same host memory, no copy. Follows the map as it changes.</summary>
internal sealed unsafe class KvmMemory : IDisposable
{
    private readonly KvmDescriptor _vm;
    private readonly AddressSpace _memory;
    private readonly Lock _gate = new();
    private readonly Dictionary<MemoryRegion, uint> _slots = [];
    private readonly HashSet<MemoryRegion> _logged = [];
    private readonly SortedSet<uint> _free = [];
    private uint _next;

    public KvmMemory(KvmDescriptor vm, AddressSpace memory)
    {
        _vm = vm;
        _memory = memory;
        Follow();
        _memory.Changed += Follow;
    }

    /// <summary>Starts or stops recording which pages of a region the guest writes.</summary>
    public void SetLog(MemoryRegion region, uint flags)
    {
        lock (_gate)
        {
            uint slot = SlotOf(region);
            Set(slot, region, region.Size, flags);
            if (flags != 0)
                _logged.Add(region);
            else
                _logged.Remove(region);
        }
    }

    /// <summary>Fetches and clears the record.</summary>
    public void Collect(MemoryRegion region, Span<ulong> bitmap)
    {
        lock (_gate)
        {
            uint slot = SlotOf(region);
            if (!_logged.Contains(region))
                throw new InvalidOperationException($"No dirty log of {region.Name} has been started.");
            // SAFETY: the caller's bitmap has a bit for every page of the slot, rounded up to 64.
            fixed (ulong* pointer = bitmap)
            {
                var log = new KvmDirtyLog { Slot = slot, DirtyBitmap = pointer };
                _vm.Call(KvmIoctl.GetDirtyLog, ref log, $"hand out the dirty log of {region.Name}");
            }
        }
    }

    public void Dispose() => _memory.Changed -= Follow;

    private void Follow()
    {
        lock (_gate)
        {
            MemoryRegion[] wanted = [.. _memory.Regions.Where(r => r.IsMemory)];
            foreach (MemoryRegion gone in _slots.Keys.Except(wanted).ToArray())
            {
                _logged.Remove(gone);
                _slots.Remove(gone, out uint slot);
                Set(slot, gone, 0, 0);
                _free.Add(slot);
            }

            foreach (MemoryRegion region in wanted.Where(r => !_slots.ContainsKey(r)))
            {
                uint slot = _free.Count > 0 ? _free.Min : _next;
                Set(slot, region, region.Size, 0);
                if (!_free.Remove(slot))
                    _next++;
                _slots.Add(region, slot);
            }
        }
    }

    private uint SlotOf(MemoryRegion region) =>
        _slots.TryGetValue(region, out uint slot) ? slot : throw new ArgumentException($"Region {region.Name} is not memory of this machine.", nameof(region));

    private void Set(uint slot, MemoryRegion region, ulong size, uint flags)
    {
        var argument = new KvmUserspaceMemoryRegion
        {
            Slot = slot,
            Flags = flags | (region.IsWritable || size == 0 ? 0 : KvmUserspaceMemoryRegion.Readonly),
            GuestPhysAddr = region.Start.Value,
            MemorySize = size,
            UserspaceAddr = (ulong)region.HostAddress,
        };
        _vm.Call(KvmIoctl.SetUserMemoryRegion, ref argument, $"map {region.Name} at {region.Start}");
    }
}
