namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>Where guest state lives while translated code runs: the registers that code uses most in host registers, the rest in the context.</summary>
internal static class GuestRegisters
{
    /// <summary>Points <see cref="ContextBias"/> bytes behind the first slot.</summary>
    public const Gp Context = Gp.Rbp;
    public const Gp Budget = Gp.R15;

    /// <summary>Lets the first 32 slots have a one-byte displacement.</summary>
    public const int ContextBias = 128;

    public static Mem Slot(int slot) => new(Context, slot * 8 - ContextBias);

    /// <summary>A field by its distance from the first slot.</summary>
    public static Mem Field(int offset) => new(Context, offset - ContextBias);

    /// <summary>The displacement of a field, as a memory operand has it.</summary>
    public static int Displacement(int offset) => offset - ContextBias;
}
