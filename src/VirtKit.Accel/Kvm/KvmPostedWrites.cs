namespace VirtKit.Accel.Kvm;

/// <summary>Stores to registers of <see cref="IPostedWrites"/> devices, which the kernel gathers in a ring (coalesced MMIO) while the guest goes on.</summary>
/// <remarks>There is one ring for all vCPUs. Each empties it when it comes out of the guest, before anything else is done, so that order is kept.</remarks>
internal sealed unsafe class KvmPostedWrites : IDisposable
{
    private readonly KvmDescriptor _vm;
    private readonly AddressSpace _memory;
    private readonly AddressSpace? _ports;
    private readonly Lock _mapGate = new(), _drainGate = new();
    private readonly int _ringPage;
    private readonly bool _hasPorts;
    private HashSet<KvmCoalescedMmioZone> _zones = [];
    private volatile bool _any;

    public KvmPostedWrites(KvmDescriptor vm, KvmSystem system, AddressSpace memory, AddressSpace? ports)
    {
        _vm = vm;
        _memory = memory;
        _ports = ports;
        // The answer is the page of the vCPU's mapping in which the ring is.
        _ringPage = system.Check(KvmCap.CoalescedMmio);
        _hasPorts = system.Check(KvmCap.CoalescedPio) > 0;
        if (_ringPage == 0)
            return;
        Follow();
        _memory.Changed += Follow;
        if (_ports is not null && _hasPorts)
            _ports.Changed += Follow;
    }

    /// <summary>Hands the gathered stores to their devices, in order. Another vCPU's drain under way is waited for: what it took comes before this vCPU's own access.</summary>
    /// <param name="run">The vCPU's shared pages.</param>
    /// <param name="bus">Where the stores go.</param>
    public void Drain(KvmRun* run, KvmBus bus)
    {
        if (!_any)
            return;
        // SAFETY: the ring is inside the mapping, at the page that the kernel named.
        var ring = (KvmCoalescedMmioRing*)((byte*)run + (_ringPage * AddressSpace.PageSize));
        // TIMING POINT K3: First moves on only when its store has been carried out, so an empty ring means that all have.
        if (Volatile.Read(ref ring->First) == Volatile.Read(ref ring->Last))
            return;
        lock (_drainGate)
        {
            uint first = ring->First;
            while (first != Volatile.Read(ref ring->Last) && first < KvmCoalescedMmioRing.Capacity)
            {
                bus.Post(in ring->CoalescedMmio[(int)first]);
                first = (first + 1) % KvmCoalescedMmioRing.Capacity;
                Volatile.Write(ref ring->First, first);
            }
        }
    }

    public void Dispose()
    {
        _memory.Changed -= Follow;
        if (_ports is not null)
            _ports.Changed -= Follow;
    }

    private void Follow()
    {
        lock (_mapGate)
        {
            HashSet<KvmCoalescedMmioZone> wanted = [.. Zones(_memory, 0), .. _ports is not null && _hasPorts ? Zones(_ports, 1) : []];
            foreach (KvmCoalescedMmioZone zone in _zones.Except(wanted))
                Call(KvmIoctl.UnregisterCoalescedMmio, zone);
            foreach (KvmCoalescedMmioZone zone in wanted.Except(_zones))
                Call(KvmIoctl.RegisterCoalescedMmio, zone);
            _zones = wanted;
            _any = wanted.Count > 0;
        }

        void Call(nuint request, KvmCoalescedMmioZone zone) => _vm.Call(request, ref zone, $"gather stores to 0x{zone.Addr:x}");
    }

    private static IEnumerable<KvmCoalescedMmioZone> Zones(AddressSpace space, uint pio) =>
        from region in space.Regions
        where region.Device is IPostedWrites
        from range in ((IPostedWrites)region.Device!).PostedWrites
        where range.Size > 0 && range.Offset < region.Size && range.Size <= region.Size - range.Offset
        select new KvmCoalescedMmioZone { Addr = (region.Start + range.Offset).Value, Size = range.Size, Pio = pio };
}
