namespace VirtKit;

/// <summary>A device with registers in an address space. It knows its window, its injected <see cref="InterruptLine"/>s, a <see cref="MachineClock"/> and,
/// where it does DMA, an <see cref="AddressSpace"/>; never the machine, a vCPU, its own base address or an interrupt number.</summary>
/// <remarks>
/// The instance is its own gate: the bus holds <c>lock (device)</c> around every call below, a <see cref="ClockTimer"/> holds it around its callback, and a
/// device that is called from elsewhere (a backend's thread) takes it itself. Locks are taken downstream only: device, then interrupt controller, then vCPU.
/// Optional capabilities are further interfaces (<see cref="Boot.IFdtNode"/>), found once at attach. A device must not throw for what a guest does; if it does
/// all the same, the bus stops the machine with <see cref="ExitReason.InternalError"/>.
/// </remarks>
/// <example>
/// A register that keeps what is written. A machine maps it by <c>machine.Memory.Map(address, new Scratch())</c>, a board by a <c>BoardDevice</c>.
/// <code>
/// internal sealed class Scratch : IDevice
/// {
///     private ulong _value;
///
///     public DeviceWindow Window =&gt; new("scratch", 8, AccessWidths.Word | AccessWidths.DoubleWord);
///
///     public ulong Read(ulong offset, int size) =&gt; _value &gt;&gt; (int)offset * 8;
///
///     public void Write(ulong offset, int size, ulong value) =&gt; _value = value;
///
///     public void Reset() =&gt; _value = 0;
/// }
/// </code>
/// </example>
public interface IDevice
{
    /// <summary>Name, size and access widths. Constant for the lifetime of the device; the bus asks once.</summary>
    DeviceWindow Window { get; }

    /// <summary>Reads a register.</summary>
    /// <param name="offset">Offset from the start of the window in bytes; aligned to <paramref name="size"/>, and the access lies inside the window.</param>
    /// <param name="size">Width in bytes, one of <see cref="DeviceWindow.Widths"/>.</param>
    /// <returns>The value, zero-extended; the bus ignores bits above <paramref name="size"/>.</returns>
    ulong Read(ulong offset, int size);

    /// <summary>Writes a register.</summary>
    /// <param name="offset">Offset from the start of the window in bytes; aligned to <paramref name="size"/>, and the access lies inside the window.</param>
    /// <param name="size">Width in bytes, one of <see cref="DeviceWindow.Widths"/>.</param>
    /// <param name="value">The value, zero-extended.</param>
    void Write(ulong offset, int size, ulong value);

    /// <summary>What the machine's reset does to the device: as its specification has it for the reset pin, so what a battery keeps (a clock's time, CMOS memory) stays as the guest
    /// has set it. Idempotent. Lines are left deasserted, and no timer set.</summary>
    void Reset();
}
