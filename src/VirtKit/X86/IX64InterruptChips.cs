namespace VirtKit.X86;

/// <summary>The interrupt chips of a PC beside the local APICs: PIC, IOAPIC and PIT. An engine's partition (<see cref="Machine.Partition"/>) may bring them, or a board
/// has models.</summary>
public interface IX64InterruptChips
{
    /// <summary>Whether this machine has them from here; an engine may leave them to the board.</summary>
    bool ArePresent { get; }

    /// <summary>A line into an input: of the IOAPIC, and where it is below 16, of the PIC.</summary>
    /// <param name="input">0 to 23.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input.</exception>
    /// <exception cref="InvalidOperationException"><see cref="ArePresent"/> is not set.</exception>
    InterruptLine Input(int input);

    /// <summary>Copies the state out. No vCPU runs. The local APICs' is in <see cref="X64State.Lapic"/>.</summary>
    /// <exception cref="InvalidOperationException"><see cref="ArePresent"/> is not set.</exception>
    void GetState(out X64InterruptChipsState state);

    /// <summary>Copies the state in. No vCPU runs, and the vCPUs' state has been set before: what waits is delivered at once.</summary>
    /// <exception cref="InvalidOperationException"><see cref="ArePresent"/> is not set.</exception>
    void SetState(in X64InterruptChipsState state);

    /// <summary>Whether a device on the machine's bus is one of these chips, so that its state is part of theirs.</summary>
    bool Holds(IDevice device) => false;
}
