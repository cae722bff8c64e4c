using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace VirtKit.Accel.Translator;

/// <summary>What translating costs, as instruments of the meter <c>VirtKit</c>. Time is only taken while somebody listens to it.</summary>
internal sealed class TranslatorMetrics : IDisposable
{
    private readonly Meter _meter = new("VirtKit");
    private readonly Instrument _time;

    public TranslatorMetrics(TranslationCache cache)
    {
        Count("virtkit.translator.blocks", "{block}", "Blocks translated.", () => cache.Counts.Blocks);
        Count("virtkit.translator.instructions", "{instruction}", "Guest instructions translated.", () => cache.Counts.Instructions);
        Count("virtkit.translator.evictions", "{eviction}", "Times that all translations were dropped because memory was full.", () => cache.Counts.Evictions);
        _time = _meter.CreateObservableCounter(
            "virtkit.translator.time", () => (double)cache.Counts.Ticks / Stopwatch.Frequency, "s", "Time spent translating, without looking up.");
        Size("virtkit.translator.code", "Translated code that is kept.", () => cache.CodeSize);
        Size("virtkit.translator.records", "What is kept about places in translated code: its sites and exits.", () => cache.RecordsSize);
        Size("virtkit.translator.pages", "What is kept about pages of guest code: their bytes and where their translations are.", () => cache.PagesSize);

        void Count(string name, string unit, string description, Func<long> value) => _meter.CreateObservableCounter(name, value, unit, description);
        void Size(string name, string description, Func<long> value) => _meter.CreateObservableUpDownCounter(name, value, "By", description);
    }

    /// <summary>Whether somebody listens to the time.</summary>
    public bool TakesTime => _time.Enabled;

    public void Dispose() => _meter.Dispose();
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
