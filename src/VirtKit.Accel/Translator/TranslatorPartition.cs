using VirtKit.Accel.Translator.Ir;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>What the vCPUs of one machine share: the translations and the tables of instructions.</summary>
internal sealed class TranslatorPartition(RiscVSystem system, TranslatorOptions options) : EnginePartition
{
    private readonly TranslationCache _cache = new(system.Instructions, options.CodeCacheSize, IrBlock.MaxInstructions);
    private readonly FallbackTable _fallbacks = new(system.Instructions);
    private readonly HandlerTable _handlers = HandlerTable.Create<LoopDispatch>(system.Instructions);

    public override VcpuCore CreateVcpu(int index) => new TranslatorCore(system, index, _cache, _fallbacks, _handlers);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _cache.Dispose();
        base.Dispose(disposing);
    }
}
