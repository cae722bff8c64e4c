using VirtKit.Accel.Kvm;
using VirtKit.Accel.Translator;
using VirtKit.Engines;

namespace VirtKit.Accel;

/// <summary>Tells VirtKit, which finds this class by its name, what engines are here.</summary>
internal sealed class AcceleratedEngines : IEngineCatalog
{
    public IReadOnlyList<ExecutionEngine> Engines { get; } = [new TranslatorEngine(), new KvmEngine()];
}
