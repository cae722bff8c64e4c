using VirtKit.Accel.Translator.Checking;
using VirtKit.Accel.Translator.Guests;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Interpreter;

namespace VirtKit.Accel.Translator;

/// <summary>What the vCPUs of one machine share: the translations and the tables of instructions.</summary>
internal sealed class TranslatorPartition(GuestSystem system, GuestRegisterFile guest, TranslatorOptions options) : SoftwarePartition(system)
{
    private readonly TranslationCache _cache = new(system.Instructions, guest, options, system.Metrics);
    private readonly FallbackTable _fallbacks = system.Instructions.Table<FallbackTable, FallbackTable>(static set => new(set));
    private readonly HandlerTable _handlers = HandlerTable.Of<LoopDispatch>(system.Instructions);

    private readonly ShadowTable? _shadows = options.CrossCheck ? system.Instructions.Table<ShadowTable, ShadowTable>(static set => new(set)) : null;

    /// <summary>The translations.</summary>
    public TranslationCache Cache => _cache;

    public override VcpuCore CreateVcpu(int index) => new TranslatorCore(System, index, _cache, _fallbacks, _handlers, _shadows is null ? null : CreateShadow(_shadows));

    private Shadow CreateShadow(ShadowTable table) => new(System.Instructions, table, new DifferenceReport(System.Instructions, _cache));

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _cache.Dispose();
        base.Dispose(disposing);
    }
}
