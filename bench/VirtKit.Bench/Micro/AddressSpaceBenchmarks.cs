using BenchmarkDotNet.Attributes;

namespace VirtKit.Bench.Micro;

/// <summary>Memory and device access through a map as large as that of the virt board: fourteen devices and RAM.</summary>
[MemoryDiagnoser]
public class AddressSpaceBenchmarks
{
    private static readonly Gpa Ram = new(0x80000000), DeviceBase = new(0x10000000), Nowhere = new(0x70000000);

    private readonly AddressSpace _space = new();
    private readonly byte[] _page = new byte[AddressSpace.PageSize];
    private Gpa _device;

    [GlobalSetup]
    public void MapBoard()
    {
        _space.MapRam(Ram, 16 << 20);
        for (ulong i = 0; i < 14; i++)
            _space.Map(DeviceBase + i * 0x1000, new Registers());
        _device = DeviceBase + 0x5008;
    }

    /// <summary>A guest's load from a device register, from the engine's call to the value.</summary>
    [Benchmark]
    public ulong MmioLoad()
    {
        _space.TryLoad(_device, 4, out ulong value);
        return value;
    }

    /// <summary>A guest's store to a device register.</summary>
    [Benchmark]
    public bool MmioStore() => _space.TryStore(_device, 4, 42);

    /// <summary>The load and the store together: the round trip of a driver that reads a register, changes it and writes it back.</summary>
    [Benchmark]
    public bool MmioRoundTrip() => _space.TryLoad(_device, 8, out ulong value) && _space.TryStore(_device, 8, value + 1);

    /// <summary>A load that nothing answers.</summary>
    [Benchmark]
    public bool LoadFromNowhere() => _space.TryLoad(Nowhere, 4, out _);

    /// <summary>One 64-bit value of RAM, as a device reads a descriptor's field.</summary>
    [Benchmark]
    public ulong ReadValue()
    {
        _space.TryRead(Ram + 0x1230, out ulong value);
        return value;
    }

    /// <summary>One 64-bit value to RAM.</summary>
    [Benchmark]
    public bool WriteValue() => _space.TryWrite(Ram + 0x1230, 0x123456789abcdef0);

    /// <summary>A page copied out of RAM.</summary>
    [Benchmark]
    public bool ReadPage() => _space.TryRead(Ram + 0x3000, _page);

    /// <summary>A view of a page of RAM, without a copy.</summary>
    [Benchmark]
    public int ViewPage()
    {
        _space.TryGetSpan(Ram + 0x3000, AddressSpace.PageSize, out Span<byte> span);
        return span.Length;
    }
}
