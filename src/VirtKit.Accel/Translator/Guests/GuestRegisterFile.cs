namespace VirtKit.Accel.Translator.Guests;

/// <summary>What a translator has to know of an ISA beside its instructions: how its registers lie in the slots, and which of them the host's should hold.</summary>
internal sealed class GuestRegisterFile
{
    /// <summary>The most slots that hold registers: sets of them are masks of 64 bits.</summary>
    public const int MaxSlots = 64;

    /// <summary>The integer registers have the slots from 0 to this, less one.</summary>
    public required int Integers { get; init; }

    /// <summary>The number of floating-point registers, which have the slots behind.</summary>
    public required int Floats { get; init; }

    /// <summary>The slot of the integer register that is always 0, or -1.</summary>
    public required int Zero { get; init; }

    /// <summary>The slot of the integer register that points at the stack.</summary>
    public required int StackPointer { get; init; }

    /// <summary>The integer registers that code uses most, in the order of the host registers that are to hold them.</summary>
    public required IReadOnlyList<int> Pinned { get; init; }

    /// <summary>As <see cref="Pinned"/>, of floating-point registers.</summary>
    public required IReadOnlyList<int> PinnedFloats { get; init; }

    /// <summary>Where the 32 bits of the floating-point flags and controls stand, in bytes from slot 0.</summary>
    public required int FloatStatus { get; init; }

    /// <summary>The bits there that are 0 while <see cref="VirtKit.Execution.FloatingPoint.RoundingMode.Dynamic"/> is to nearest, ties to even.</summary>
    public required uint RoundingControl { get; init; }

    /// <summary>The bit there that says that a result was inexact.</summary>
    public required uint Inexact { get; init; }

    /// <summary>How reports call what stands at <see cref="FloatStatus"/>.</summary>
    public required string FloatStatusName { get; init; }

    /// <summary>Whether a slot holds an integer register that can be written.</summary>
    public bool IsWritableInteger(int slot) => slot < Integers && slot != Zero;

    public bool IsFloat(int slot) => slot >= Integers && slot < Integers + Floats;
}
