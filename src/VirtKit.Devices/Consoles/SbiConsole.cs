using VirtKit.RiscV;

namespace VirtKit.Devices.Consoles;

/// <summary>Lets the SBI's debug console (SBI 2.0 chapter 12) share a console backend with a serial port.</summary>
public sealed class SbiConsole : ISbiConsole
{
    private readonly HostConsole _host;

    /// <summary>Connects a console.</summary>
    /// <param name="backend">The console. What it does not take at once the guest tries again.</param>
    /// <param name="clock">The machine's clock, by which the console's answers enter a recording.</param>
    public SbiConsole(IConsoleBackend backend, MachineClock clock)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(clock);
        MachineInput input = clock.CreateInput(this, static () => { });
        _host = new HostConsole(backend, () => input);
    }

    /// <summary>Writes bytes; those that the console does not take are lost. The SBI calls <see cref="TryWrite"/>.</summary>
    public void Write(ReadOnlySpan<byte> bytes) => TryWrite(bytes);

    /// <inheritdoc/>
    public int TryWrite(ReadOnlySpan<byte> bytes) => bytes.IsEmpty ? 0 : _host.Write(bytes);

    /// <inheritdoc/>
    public int Read(Span<byte> buffer) => buffer.IsEmpty ? 0 : _host.Read(buffer);
}
