using VirtKit.RiscV;

namespace VirtKit.Devices.Consoles;

/// <summary>Lets the SBI's debug console (SBI 2.0 chapter 12) share a console backend with a serial port.</summary>
/// <param name="backend">The console. What it does not take at once the guest tries again.</param>
public sealed class SbiConsole(IConsoleBackend backend) : ISbiConsole
{
    private readonly IConsoleBackend _backend = backend ?? throw new ArgumentNullException(nameof(backend));

    /// <summary>Writes bytes; those that the console does not take are lost. The SBI calls <see cref="TryWrite"/>.</summary>
    public void Write(ReadOnlySpan<byte> bytes) => TryWrite(bytes);

    /// <inheritdoc/>
    public int TryWrite(ReadOnlySpan<byte> bytes) => bytes.IsEmpty ? 0 : Math.Clamp(_backend.Write(bytes), 0, bytes.Length);

    /// <inheritdoc/>
    public int Read(Span<byte> buffer) => buffer.IsEmpty ? 0 : Math.Clamp(_backend.Read(buffer), 0, buffer.Length);
}
