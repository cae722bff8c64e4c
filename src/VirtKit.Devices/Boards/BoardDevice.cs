namespace VirtKit.Devices.Boards;

/// <summary>A device of the caller's own on a board.</summary>
/// <param name="Create">Makes the device; called once for each board, while that is built. What it returns belongs to the board, which disposes of it where it is
/// <see cref="IDisposable"/>.</param>
/// <example>
/// Two devices of one class, each with an interrupt, at free addresses and at a fixed one:
/// <code>
/// var options = new RiscVVirtOptions
/// {
///     Devices =
///     [
///         new BoardDevice(slot =&gt; new Ns16550A(new NullConsole(), slot.Machine.Clock, slot.TakeInterrupt())),
///         new BoardDevice(slot =&gt; new Ns16550A(new NullConsole(), slot.Machine.Clock, slot.TakeInterrupt(40))) { Address = new Gpa(0x0500_0000) },
///     ],
/// };
/// </code>
/// </example>
public sealed record BoardDevice(Func<BoardSlot, IDevice> Create)
{
    /// <summary>Makes the device. Called once for each board, while that is built.</summary>
    public Func<BoardSlot, IDevice> Create { get; } = Create ?? throw new ArgumentNullException(nameof(Create));

    /// <summary>The address of the device's offset 0; <see langword="null"/>, the default, for the next free one of the range that the board sets aside.</summary>
    public Gpa? Address { get; init; }
}
