namespace VirtKit.Tests.Support;

/// <summary>A device made of two delegates, which counts its resets.</summary>
internal sealed class FakeDevice : IDevice
{
    public DeviceWindow Window { get; init; } = new("fake", 0x100);

    public Func<ulong, int, ulong> OnRead { get; init; } = (_, _) => 0;

    public Action<ulong, int, ulong> OnWrite { get; init; } = (_, _, _) => { };

    public int Resets { get; private set; }

    public ulong Read(ulong offset, int size) => OnRead(offset, size);

    public void Write(ulong offset, int size, ulong value) => OnWrite(offset, size, value);

    public void Reset() => Resets++;
}
