using VirtKit.RiscV;

namespace VirtKit.Devices.Consoles;

/// <summary>Lets the SBI's debug console (SBI 2.0 chapter 12) share a console backend with a serial port.</summary>
/// <param name="backend">The console. Output that it does not take at once is lost, as on a wire without flow control.</param>
public sealed class SbiConsole(IConsoleBackend backend) : ISbiConsole
{
    private readonly IConsoleBackend _backend = backend ?? throw new ArgumentNullException(nameof(backend));

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && _backend.Write(bytes) is > 0 and int taken)
            bytes = bytes[taken..];
    }

    /// <inheritdoc/>
    public int Read(Span<byte> buffer) => buffer.IsEmpty ? 0 : _backend.Read(buffer);
}
