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

    // Where stores into code are watched, a translation that another machine has made is one that nobody watches here.
    public override SharedCode? ShareCode() => System.Watched is null ? _cache.Freeze() : null;

    public override void AdoptCode(SharedCode code)
    {
        if (System.Watched is null && code is FrozenCode frozen)
            _cache.Adopt(frozen);
    }

    public override VcpuCore CreateVcpu(int index) => new TranslatorCore(System, index, _cache, _fallbacks, _handlers, _shadows is null ? null : CreateShadow(_shadows));

    private Shadow CreateShadow(ShadowTable table) => new(System.Instructions, table, new DifferenceReport(System.Instructions, _cache));

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _cache.Dispose();
        base.Dispose(disposing);
    }
}
