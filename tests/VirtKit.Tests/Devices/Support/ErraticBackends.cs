using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;

namespace VirtKit.Tests.Devices.Support;

/// <summary>A console that takes a part, or nothing, and has input now and then: what a fuzzed device meets on the host's side.</summary>
internal sealed class ErraticConsole : IConsoleBackend
{
    private readonly Random _random = new(3);

    public event Action? Changed
    {
        add { }
        remove { }
    }

    public ConsoleSize Size => default;

    public int Write(ReadOnlySpan<byte> bytes) => _random.Next(4) == 0 ? _random.Next(bytes.Length + 1) : bytes.Length;

    public int Read(Span<byte> buffer)
    {
        int count = _random.Next(4) == 0 ? _random.Next(buffer.Length + 1) : 0;
        _random.NextBytes(buffer[..count]);
        return count;
    }
}

/// <summary>A network on which frames of any length come in.</summary>
internal sealed class ErraticNetwork : INetworkBackend
{
    private readonly Random _random = new(4);

    public event Action? FrameAvailable
    {
        add { }
        remove { }
    }

    public bool IsConnected => true;

    public void Send(ReadOnlySpan<byte> frame) => Assert.InRange(frame.Length, 14, INetworkBackend.MaximumFrameLength);

    public bool TryReceive(Span<byte> frame, out int length)
    {
        length = _random.Next(frame.Length + 1);
        return _random.Next(3) != 0;
    }
}
