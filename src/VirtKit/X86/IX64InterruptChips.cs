namespace VirtKit.X86;

/// <summary>The capability of an engine's partition (<see cref="Machine.Partition"/>) to bring the interrupt controllers of a PC: PIC, IOAPIC, local APICs and PIT.</summary>
public interface IX64InterruptChips
{
    /// <summary>Whether this machine has them from its engine.</summary>
    bool ArePresent { get; }

    /// <summary>A line into an input: of the IOAPIC, and where it is below 16, of the PIC.</summary>
    /// <param name="input">0 to 23.</param>
    /// <exception cref="InvalidOperationException"><see cref="ArePresent"/> is not set.</exception>
    InterruptLine Input(int input);
}
