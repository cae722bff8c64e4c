using VirtKit.Devices.Consoles;
using VirtKit.Devices.Storage;

namespace VirtKit.Tests.Devices.Support;

/// <summary>A console and a disk that only count how often they are called.</summary>
internal sealed class CountingBackend : IConsoleBackend, IBlockBackend
{
    public event Action? Changed
    {
        add { }
        remove { }
    }

    public int Calls { get; set; }

    public ConsoleSize Size => default;

    public long Length => 1 << 20;

    public bool IsReadOnly => false;

    public int Write(ReadOnlySpan<byte> bytes)
    {
        Calls++;
        return bytes.Length;
    }

    public int Read(Span<byte> buffer) => 0;

    public void Read(long offset, Span<byte> destination) => Calls++;

    public void Write(long offset, ReadOnlySpan<byte> source) => Calls++;

    public void WriteZeroes(long offset, long length) => Calls++;

    public void Discard(long offset, long length) => Calls++;

    public void Flush() => Calls++;
}
