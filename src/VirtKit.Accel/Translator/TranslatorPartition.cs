using VirtKit.Accel.Translator.Checking;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>What the vCPUs of one machine share: the translations and the tables of instructions.</summary>
internal sealed class TranslatorPartition(RiscVSystem system, TranslatorOptions options) : EnginePartition, IRiscVPartition
{
    private readonly TranslationCache _cache = new(system.Instructions, options, system.Metrics);
    private readonly FallbackTable _fallbacks = new(system.Instructions);
    private readonly HandlerTable _handlers = HandlerTable.Create<LoopDispatch>(system.Instructions);

    private readonly ShadowTable? _shadows = options.CrossCheck ? new ShadowTable(system.Instructions) : null;

    /// <summary>The translations.</summary>
    public TranslationCache Cache => _cache;

    /// <inheritdoc/>
    public RiscVTimebase Timebase => system.Timebase;

    public override VcpuCore CreateVcpu(int index) => new TranslatorCore(system, index, _cache, _fallbacks, _handlers, _shadows is null ? null : CreateShadow(_shadows));

    private Shadow CreateShadow(ShadowTable table) => new(system.Instructions, table, new DifferenceReport(new RiscVDisassembler(system.Instructions), _cache));

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _cache.Dispose();
        base.Dispose(disposing);
    }
}
