namespace VirtKit.Devices.Consoles;

/// <summary>A console that nobody looks at: takes all output and never has input.</summary>
public sealed class NullConsole : IConsoleBackend
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
}
