using VirtKit.Accel.Translator;
using VirtKit.RiscV;

namespace VirtKit.Tests.Translator;

internal static class Translators
{
    /// <summary>Skips where the host cannot run the translator, with the reason.</summary>
    public static void Require()
    {
        if (!new TranslatorEngine().Supports(new RiscVArchitecture(), out string? reason))
            Assert.Skip(reason!);
    }
}
