using VirtKit.Accel.Translator.Checking;
using VirtKit.Accel.Translator.Guests;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Interpreter;

namespace VirtKit.Accel.Translator;

/// <summary>What the vCPUs of one machine share: the translations and the tables of instructions.</summary>
internal sealed class TranslatorPartition : SoftwarePartition
{
    private readonly TranslationCache _cache;
    private readonly FallbackTable _fallbacks ;
    private readonly HandlerTable _handlers;
    private readonly ShadowTable? _shadows;

    public TranslatorPartition(GuestSystem system, GuestRegisterFile guest, TranslatorOptions options)
        : this(system, new TranslationCache(system.Instructions, guest, options, system.Metrics))
    {
        if (options.CrossCheck)
            _shadows = system.Instructions.Table<ShadowTable, ShadowTable>(static set => new(set));
    }

    /// <param name="cache">Whose hold goes over to the partition.</param>
    private TranslatorPartition(GuestSystem system, TranslationCache cache)
        : base(system)
    {
        _cache = cache;
        _fallbacks = system.Instructions.Table<FallbackTable, FallbackTable>(static set => new(set));
        _handlers = HandlerTable.Of<LoopDispatch>(system.Instructions);
    }

    /// <summary>The translations.</summary>
    public TranslationCache Cache => _cache;

    // Where stores into code are watched, a translation that another machine has made is one that nobody watches here.
    public override SharedCode? ShareCode() => System.Watched is null ? _cache.Freeze() : null;

    public override void AdoptCode(SharedCode code)
    {
        if (System.Watched is null && code is FrozenCode frozen)
            _cache.Adopt(frozen);
    }

    // A cross-check looks at memory that one machine alone has.
    public override SoftwarePartition? Sibling(GuestSystem other)
    {
        if (_shadows is not null)
            return null;
        _cache.Hold();
        return new TranslatorPartition(other, _cache);
    }

    public override VcpuCore CreateVcpu(int index) => new TranslatorCore(System, index, _cache, _fallbacks, _handlers, _shadows is null ? null : CreateShadow(_shadows));

    private Shadow CreateShadow(ShadowTable table) => new(System.Instructions, table, new DifferenceReport(System.Instructions, _cache));

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _cache.Release();
        base.Dispose(disposing);
    }
}
