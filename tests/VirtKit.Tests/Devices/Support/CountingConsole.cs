using VirtKit.Devices.Consoles;

namespace VirtKit.Tests.Devices.Support;

/// <summary>A console that only counts what it is given.</summary>
internal sealed class CountingConsole : IConsoleBackend
{
    public event Action? Changed
    {
        add { }
        remove { }
    }

    public long Written { get; private set; }

    public ConsoleSize Size => default;

    public int Write(ReadOnlySpan<byte> bytes)
    {
        Written += bytes.Length;
        return bytes.Length;
    }

    public int Read(Span<byte> buffer) => 0;
}
