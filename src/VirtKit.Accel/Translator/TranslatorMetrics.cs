using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace VirtKit.Accel.Translator;

/// <summary>What translating costs, as instruments of the meter <c>VirtKit</c>, one measurement a machine. Time is only taken while somebody listens to it.</summary>
internal static class TranslatorMetrics
{
    private static readonly Observed<TranslationCache> Caches = new();
    private static readonly Meter Meter = new("VirtKit");
    private static readonly Instrument Time = CreateInstruments();

    /// <summary>Whether somebody listens to the time.</summary>
    public static bool TakesTime => Time.Enabled;

    /// <summary>Shows a machine's translations.</summary>
    public static void Add(TranslationCache cache) => Caches.Add(cache);

    /// <summary>Shows them no longer.</summary>
    public static void Remove(TranslationCache cache) => Caches.Remove(cache);

    private static Instrument CreateInstruments()
    {
        Count("virtkit.translator.blocks", "{block}", "Blocks translated.", cache => cache.Counts.Blocks);
        Count("virtkit.translator.instructions", "{instruction}", "Guest instructions translated.", cache => cache.Counts.Instructions);
        Count("virtkit.translator.evictions", "{eviction}", "Times that all translations were dropped because memory was full.", cache => cache.Counts.Evictions);
        Size("virtkit.translator.code", "Translated code that is kept.", cache => cache.CodeSize);
        Size("virtkit.translator.records", "What is kept about places in translated code: its sites and exits.", cache => cache.RecordsSize);
        Size("virtkit.translator.pages", "What is kept about pages of guest code: their bytes and where their translations are.", cache => cache.PagesSize);
        return Meter.CreateObservableCounter(
            "virtkit.translator.time", Each(cache => (double)cache.Counts.Ticks / Stopwatch.Frequency), "s", "Time spent translating, without looking up.");

        void Count(string name, string unit, string description, Func<TranslationCache, long> value) => Meter.CreateObservableCounter(name, Each(value), unit, description);
        void Size(string name, string description, Func<TranslationCache, long> value) => Meter.CreateObservableUpDownCounter(name, Each(value), "By", description);
        Func<IEnumerable<Measurement<T>>> Each<T>(Func<TranslationCache, T> value) where T : struct => () => Caches.Live.Select(cache => new Measurement<T>(value(cache)));
    }
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
