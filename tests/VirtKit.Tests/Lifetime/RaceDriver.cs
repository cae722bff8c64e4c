using VirtKit.Devices.Boards;

namespace VirtKit.Tests.Lifetime;

/// <summary>A virtio driver on the host's side: keeps receive buffers on offer, so that a backend's thread reaches guest memory while a machine is disposed of.</summary>
internal sealed class RaceDriver
{
    private const int QueueSize = 16, BufferSize = 512;
    private const ulong Version1 = 1ul << 32;
    private readonly AddressSpace _memory;
    private readonly Gpa _device;
    private readonly Gpa _rings;

    /// <param name="machine">The machine, which has not run.</param>
    /// <param name="board">Its board.</param>
    /// <param name="slot">The device's virtio slot, whose queue 0 receives.</param>
    /// <param name="rings">A free page and what follows it: rings, then buffers.</param>
    public RaceDriver(Machine machine, IDisposable board, int slot, Gpa rings)
    {
        _memory = machine.Memory;
        _device = new Gpa((board is RiscVVirt ? 0x1000_1000UL : 0xfe00_0000) + (ulong)slot * 0x1000);
        _rings = rings;
        Set(0x70, 0);
        Set(0x70, 3);
        Set(0x24, 1);
        Set(0x20, (uint)(Version1 >> 32));
        Set(0x70, 0xb);
        Set(0x30, 0);
        Set(0x38, QueueSize);
        Set(0x80, (uint)Descriptors.Value);
        Set(0x90, (uint)Available.Value);
        Set(0xa0, (uint)Used.Value);
        for (int i = 0; i < QueueSize; i++)
        {
            Gpa descriptor = Descriptors + (ulong)i * 16;
            _memory.TryWrite(descriptor, (rings + 0x3000 + (ulong)(i * BufferSize)).Value);
            _memory.TryWrite(descriptor + 8, BufferSize);
            _memory.TryWrite(descriptor + 12, (uint)2);
            _memory.TryWrite(Available + 4 + (ulong)i * 2, (ushort)i);
        }

        Set(0x44, 1);
        Set(0x70, 0xf);
        Assert.True(_memory.TryLoad(_device + 0x70, 4, out ulong status) && status == 0xf, $"The device of slot {slot} does not start: {status:x}.");
        Refill();
    }

    private Gpa Descriptors => _rings;

    private Gpa Available => _rings + 0x1000;

    private Gpa Used => _rings + 0x2000;

    /// <summary>Offers again what the device has used.</summary>
    public void Refill()
    {
        if (_memory.TryRead(Used + 2, out ushort used))
            _memory.TryWrite(Available + 2, (ushort)(used + QueueSize));
    }

    private void Set(ulong offset, uint value) => Assert.True(_memory.TryStore(_device + offset, 4, value));
}
