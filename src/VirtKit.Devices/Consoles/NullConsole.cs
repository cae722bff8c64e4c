using VirtKit.State;

namespace VirtKit.Devices.Consoles;

/// <summary>A console that nobody looks at: takes all output and never has input.</summary>
public sealed class NullConsole : IConsoleBackend, ISnapshotable
{
    /// <inheritdoc/>
    public ConsoleSize Size => default;

    /// <inheritdoc/>
    public event Action? Changed
    {
        add { }
        remove { }
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> bytes) => bytes.Length;

    /// <inheritdoc/>
    public int Read(Span<byte> buffer) => 0;

    /// <summary>Saves that there is no input; what another console had is dropped.</summary>
    public void Visit(StateVisitor visitor) => new ConsoleBuffer(0).Visit(visitor);
}
