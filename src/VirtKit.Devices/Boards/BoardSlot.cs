namespace VirtKit.Devices.Boards;

/// <summary>What a board gives to the device that <see cref="BoardDevice.Create"/> makes for it. It is of use only during that call.</summary>
public sealed class BoardSlot
{
    private readonly InterruptInputs _inputs;
    private readonly string _label;
    private readonly List<int> _taken = [];
    private bool _closed;

    /// <param name="machine">The board's machine.</param>
    /// <param name="inputs">What interrupt inputs there are.</param>
    /// <param name="label">How errors call the device.</param>
    internal BoardSlot(Machine machine, InterruptInputs inputs, string label)
    {
        Machine = machine;
        _inputs = inputs;
        _label = label;
    }

    /// <summary>The board's machine: its clock, its memory for DMA, its vCPUs' pins, and the requests to power off or reset. Devices get the part that they need,
    /// and not the machine.</summary>
    public Machine Machine { get; }

    /// <summary>The inputs taken so far, in order.</summary>
    internal IReadOnlyList<int> Taken => _taken;

    /// <summary>Takes an input of the board's interrupt controller for the device alone. A device may have several; the guest finds them described in this order.</summary>
    /// <param name="input">The input: on <see cref="RiscVVirt"/> a source of the PLIC, on <see cref="X64MicroVm"/> one of the I/O APIC; <see langword="null"/> for
    /// the next free one.</param>
    /// <returns>The line into it, level-triggered.</returns>
    /// <exception cref="ArgumentException">There is no such input, another device has it, or none is free; the message names it.</exception>
    /// <exception cref="InvalidOperationException">The device has been made already.</exception>
    public InterruptLine TakeInterrupt(int? input = null)
    {
        if (_closed)
            throw new InvalidOperationException("Interrupts are taken while the device is made.");
        (int number, InterruptLine line) = _inputs.Take(input, _label);
        _taken.Add(number);
        return line;
    }

    /// <summary>The device is there.</summary>
    internal void Close() => _closed = true;
}
