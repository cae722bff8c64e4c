using VirtKit.Devices.Consoles;

namespace VirtKit.Samples.BootLinux.Terminal;

/// <summary>The guest's serial line and its virtio console on one terminal. Both write to it; keys go to the serial line until the guest has written to
/// the virtio console, unless <see cref="KeysToVirtio"/> says so from the start.</summary>
internal sealed class GuestConsoles
{
    private readonly StreamConsole _terminal;
    private volatile bool _keysToVirtio;

    /// <param name="terminal">The terminal.</param>
    /// <param name="serialOutput">Where the serial line's output goes.</param>
    /// <param name="initStarted">Called once when /init starts.</param>
    public GuestConsoles(StreamConsole terminal, Output serialOutput, Action initStarted)
    {
        _terminal = terminal;
        var marker = new InitMarker(initStarted);
        Serial = new Port(this, bytes =>
        {
            byte[] shown = marker.Filter(bytes);
            if (shown.Length > 0)
                serialOutput(shown);
            return bytes.Length;
        }, forVirtio: false);
        Virtio = new Port(this, bytes =>
        {
            KeysToVirtio = true;
            return terminal.Write(bytes);
        }, forVirtio: true);
    }

    /// <summary>For the board's serial line.</summary>
    public IConsoleBackend Serial { get; }

    /// <summary>For the board's virtio console.</summary>
    public IConsoleBackend Virtio { get; }

    /// <summary>Whether keys go to the virtio console.</summary>
    public bool KeysToVirtio
    {
        get => _keysToVirtio;
        set => _keysToVirtio = value;
    }

    internal delegate int Output(ReadOnlySpan<byte> bytes);

    private sealed class Port(GuestConsoles owner, Output output, bool forVirtio) : IConsoleBackend
    {
        public event Action? Changed
        {
            add => owner._terminal.Changed += value;
            remove => owner._terminal.Changed -= value;
        }

        public ConsoleSize Size => owner._terminal.Size;

        public int Write(ReadOnlySpan<byte> bytes) => output(bytes);

        public int Read(Span<byte> buffer) => owner.KeysToVirtio == forVirtio ? owner._terminal.Read(buffer) : 0;
    }
}
