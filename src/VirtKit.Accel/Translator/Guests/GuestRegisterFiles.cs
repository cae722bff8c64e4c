using VirtKit.Accel.Translator.Guests.RiscV;
using VirtKit.Execution;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Guests;

/// <summary>The ISAs that the translator knows: the one place that names them.</summary>
internal static class GuestRegisterFiles
{
    /// <returns>The register file of an ISA's CPUs, or <see langword="null"/> where the translator does not know it.</returns>
    public static GuestRegisterFile? Of(GuestSystem system) => system is RiscVSystem ? RiscVRegisterFile.Instance : null;
}
