using System.Diagnostics;
using VirtKit.Telemetry;

namespace VirtKit.Accel.Translator;

/// <summary>What translating costs, among the machine's metrics. Time is only taken while somebody listens to it.</summary>
internal sealed class TranslatorMetrics
{
    private readonly MeterInstruments.Listening? _time;

    public TranslatorMetrics(TranslationCache cache, MachineMetrics? metrics)
    {
        if (metrics is null)
            return;
        metrics.Count("virtkit.translator.blocks", "{block}", "Blocks translated.", () => cache.Counts.Blocks);
        metrics.Count("virtkit.translator.instructions", "{instruction}", "Guest instructions translated.", () => cache.Counts.Instructions);
        metrics.Count("virtkit.translator.evictions", "{eviction}", "Times that all translations were dropped because memory was full.", () => cache.Counts.Evictions);
        _time = metrics.Count("virtkit.translator.time", "s", "Time spent translating, without looking up.", () => (double)cache.Counts.Ticks / Stopwatch.Frequency);
        metrics.Size("virtkit.translator.code", "Translated code that is kept.", () => cache.CodeSize);
        metrics.Size("virtkit.translator.records", "What is kept about places in translated code: its sites and exits.", () => cache.RecordsSize);
        metrics.Size("virtkit.translator.pages", "What is kept about pages of guest code: their bytes and where their translations are.", () => cache.PagesSize);
    }

    /// <summary>Whether somebody listens to the time.</summary>
    public bool TakesTime => _time is { IsEnabled: true };
}

/// <summary>What a <see cref="TranslationCache"/> has done so far.</summary>
internal struct TranslationCounts
{
    public long Blocks;
    public long Instructions;
    public long Evictions;

    /// <summary>In units of <see cref="Stopwatch"/>.</summary>
    public long Ticks;
}
