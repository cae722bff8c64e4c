namespace VirtKit.Bench.Micro;

/// <summary>A device of four registers that does nothing else: what is measured is the way to it.</summary>
internal sealed class Registers : IDevice
{
    private readonly ulong[] _values = new ulong[4];

    public DeviceWindow Window { get; } = new("registers", 32);

    public ulong Read(ulong offset, int size) => _values[offset >> 3];

    public void Write(ulong offset, int size, ulong value) => _values[offset >> 3] = value;

    public void Reset() => Array.Clear(_values);
}
