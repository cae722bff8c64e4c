using VirtKit.Devices.Virtio;

namespace VirtKit.Tests.Devices.Support;

/// <summary>A tiny driver for one device: negotiates, sets its queues up in guest memory and passes buffers, or whatever a test likes to break.</summary>
internal sealed class VirtioDriver : IDisposable
{
    public const ulong Ram = 0x8000_0000, RamSize = 1 << 20, Device = 0x1000_1000;
    public const ulong IndirectFeature = 1ul << 28, EventIndexFeature = 1ul << 29, Version1Feature = 1ul << 32;
    public const ushort Next = 1, Write = 2, Indirect = 4;
    private const ulong QueueSpace = 0x4000, BufferStart = Ram + 0x8_0000;
    private readonly VirtioDevice _device;
    private readonly ushort[] _available = new ushort[4], _used = new ushort[4];
    private ulong _nextBuffer = BufferStart;

    public VirtioDriver(VirtioDevice device, int queueSize = 16)
    {
        _device = device;
        QueueSize = queueSize;
        Memory.MapRam(new Gpa(Ram), RamSize);
        Transport = new VirtioMmio(device, Memory, Clock, Lines[0]);
        Memory.Map(new Gpa(Device), Transport);
        Memory.DeviceFailed += (d, e) => Assert.Fail($"{d.Window.Name} threw {e}");
    }

    public AddressSpace Memory { get; } = new();

    public TestClock Clock { get; } = new();

    public TestLines Lines { get; } = new();

    public VirtioMmio Transport { get; }

    public int QueueSize { get; }

    public uint Status => Get(0x70);

    public bool NeedsReset => (Status & 0x40) != 0;

    public uint Get(ulong offset)
    {
        Assert.True(Memory.TryLoad(new Gpa(Device + offset), 4, out ulong value));
        return (uint)value;
    }

    public void Set(ulong offset, uint value) => Assert.True(Memory.TryStore(new Gpa(Device + offset), 4, value));

    public static ulong Descriptors(int queue) => Ram + (ulong)queue * QueueSpace;

    public static ulong Available(int queue) => Descriptors(queue) + 0x2000;

    public static ulong Used(int queue) => Descriptors(queue) + 0x3000;

    /// <summary>Brings the device up with these features, as §3.1.1 of the specification has it.</summary>
    public VirtioDriver Start(ulong features = Version1Feature | IndirectFeature | EventIndexFeature)
    {
        Negotiate(features);
        Assert.NotEqual(0u, Status & 8);
        for (int queue = 0; queue < _device.QueueSizes.Count; queue++)
            SetUpQueue(queue);
        Set(0x70, 0xf);
        return this;
    }

    public void Negotiate(ulong features)
    {
        Set(0x70, 0);
        Array.Clear(_available);
        Array.Clear(_used);
        for (int queue = 0; queue < 4; queue++)
        {
            Assert.True(Memory.TryGetSpan(new Gpa(Descriptors(queue)), (int)QueueSpace, out Span<byte> rings));
            rings.Clear();
        }

        Set(0x70, 1);
        Set(0x70, 3);
        Set(0x24, 0);
        Set(0x20, (uint)features);
        Set(0x24, 1);
        Set(0x20, (uint)(features >> 32));
        Set(0x70, 0xb);
    }

    public void SetUpQueue(int queue)
    {
        Set(0x30, (uint)queue);
        Set(0x38, (uint)QueueSize);
        Set(0x80, (uint)Descriptors(queue));
        Set(0x90, (uint)Available(queue));
        Set(0xa0, (uint)Used(queue));
        Set(0x44, 1);
    }

    /// <summary>Takes a queue back from the device, with rings that are empty again.</summary>
    public void StopQueue(int queue)
    {
        Set(0x30, (uint)queue);
        Set(0x44, 0);
        Assert.True(Memory.TryGetSpan(new Gpa(Descriptors(queue)), (int)QueueSpace, out Span<byte> rings));
        rings.Clear();
        _available[queue] = _used[queue] = 0;
    }

    public ulong Allocate(int length)
    {
        ulong address = _nextBuffer;
        _nextBuffer += (ulong)(length + 15) & ~15ul;
        Assert.True(_nextBuffer <= Ram + RamSize);
        return address;
    }

    public ulong Allocate(ReadOnlySpan<byte> bytes)
    {
        ulong address = Allocate(bytes.Length);
        Memory.Write(new Gpa(address), bytes);
        return address;
    }

    public byte[] Bytes(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Memory.Read(new Gpa(address), bytes);
        return bytes;
    }

    public void PutDescriptor(ulong table, int index, ulong address, uint length, ushort flags, ushort next)
    {
        Gpa entry = new(table + (ulong)index * 16);
        Assert.True(Memory.TryWrite(entry, address) && Memory.TryWrite(entry + 8, length) && Memory.TryWrite(entry + 12, flags) && Memory.TryWrite(entry + 14, next));
    }

    /// <summary>Makes a chain available from descriptor <paramref name="head"/>.</summary>
    public void Offer(int queue, ushort head)
    {
        Assert.True(Memory.TryWrite(new Gpa(Available(queue) + 4 + (ulong)(_available[queue] % QueueSize) * 2), head));
        Assert.True(Memory.TryWrite(new Gpa(Available(queue) + 2), ++_available[queue]));
    }

    /// <summary>Puts a chain of buffers from descriptor <paramref name="head"/> on and makes it available.</summary>
    public void Offer(int queue, ushort head, params ReadOnlySpan<(ulong Address, int Length, bool Writable)> buffers)
    {
        for (int i = 0; i < buffers.Length; i++)
        {
            int flags = (buffers[i].Writable ? Write : 0) | (i + 1 < buffers.Length ? Next : 0);
            PutDescriptor(Descriptors(queue), head + i, buffers[i].Address, (uint)buffers[i].Length, (ushort)flags, (ushort)(head + i + 1));
        }

        Offer(queue, head);
    }

    public void Notify(int queue) => Set(0x50, (uint)queue);

    /// <summary>Takes the next used chain.</summary>
    public bool TryTakeUsed(int queue, out uint head, out uint length)
    {
        head = length = 0;
        Assert.True(Memory.TryRead(new Gpa(Used(queue) + 2), out ushort index));
        if (index == _used[queue])
            return false;
        Gpa entry = new(Used(queue) + 4 + (ulong)(_used[queue]++ % QueueSize) * 8);
        return Memory.TryRead(entry, out head) && Memory.TryRead(entry + 4, out length);
    }

    public uint TakeUsed(int queue)
    {
        Assert.True(TryTakeUsed(queue, out _, out uint length), "The device has completed nothing.");
        return length;
    }

    public void Dispose()
    {
        Transport.Dispose();
        (_device as IDisposable)?.Dispose();
        Memory.Release();
    }
}
