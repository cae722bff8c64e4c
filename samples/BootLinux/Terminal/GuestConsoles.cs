using VirtKit.Devices.Consoles;

namespace VirtKit.Samples.BootLinux.Terminal;

/// <summary>The guest's serial line and its virtio console on one terminal. Both write to it; keys go to the serial line until the guest has written to
/// the virtio console, unless <see cref="KeysToVirtio"/> says so from the start.</summary>
internal sealed class GuestConsoles
{
    private readonly StreamConsole _terminal;
    private readonly Output _serialOutput;
    private readonly InitMarker _marker;
    private readonly Lock _serialGate = new();

    /// <summary>What of the serial line's output is to be shown and found no room yet: at most what the guest wrote at once.</summary>
    private byte[] _held = [];
    private volatile bool _keysToVirtio;

    /// <param name="terminal">The terminal.</param>
    /// <param name="serialOutput">Where the serial line's output goes.</param>
    /// <param name="initStarted">Called once when /init starts.</param>
    public GuestConsoles(StreamConsole terminal, Output serialOutput, Action initStarted)
    {
        _terminal = terminal;
        _serialOutput = serialOutput;
        _marker = new InitMarker(initStarted);
        terminal.Changed += () => TryShowHeld();
        Serial = new Port(this, WriteSerial, forVirtio: false);
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

    /// <summary>Waits until the terminal has taken all output.</summary>
    /// <returns>Whether it did in time.</returns>
    public bool Flush(TimeSpan timeout) => _terminal.Flush(timeout) && TryShowHeld() && _terminal.Flush(timeout);

    /// <summary>Takes all of it or nothing: the marker is taken out, so that what was shown does not tell how much was taken.</summary>
    private int WriteSerial(ReadOnlySpan<byte> bytes)
    {
        lock (_serialGate)
        {
            if (!TryShowHeld())
                return 0;
            _held = _marker.Filter(bytes);
            TryShowHeld();
            return bytes.Length;
        }
    }

    private bool TryShowHeld()
    {
        lock (_serialGate)
        {
            if (_held.Length > 0)
                _held = _held[_serialOutput(_held)..];
            return _held.Length == 0;
        }
    }

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
