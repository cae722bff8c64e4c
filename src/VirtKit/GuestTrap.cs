using System.Globalization;

namespace VirtKit;

/// <summary>A trap that a guest took: an exception, a fault or an interrupt, in the words of its architecture.</summary>
/// <param name="Cause">The architecture's number: on RISC-V <c>mcause</c>, with bit 63 set for an interrupt (RV-Priv §3.1.15); on x86 the vector, 0 to 255 (SDM 3A §6.3).</param>
/// <param name="Pc">The address of the instruction that trapped, or that an interrupt preceded.</param>
/// <param name="Value">What the architecture reports beside the cause: on RISC-V <c>mtval</c> (RV-Priv §3.1.16); on x86 the linear address of a page fault
/// (CR2), otherwise the error code. 0 where there is none.</param>
/// <param name="Description">The cause's name, for people, for example <c>load page fault</c>.</param>
public readonly record struct GuestTrap(ulong Cause, Gva Pc, ulong Value, string Description)
{
    /// <summary>For example <c>load page fault (cause 0xd) at 0x80000010, value 0x1000</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Description} (cause 0x{Cause:x}) at {Pc}, value 0x{Value:x}");
}
