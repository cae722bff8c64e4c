using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;

namespace VirtKit.Telemetry;

/// <summary>The instruments of one meter <c>VirtKit</c>, and the machines that they read. Made once for each meter: an instrument cannot be taken off a meter again, so
/// machines share them, and a machine that is gone leaves nothing behind.</summary>
internal sealed class MeterInstruments
{
    private const string MeterName = "VirtKit";

    private static readonly MeterInstruments Default = new(new Meter(MeterName));
    private static readonly ConditionalWeakTable<Meter, MeterInstruments> OfFactories = [];

    private readonly Meter _meter;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Listening> _instruments = [];

    private readonly Observed<MachineMetrics> _machines = new();

    private MeterInstruments(Meter meter) => _meter = meter;

    /// <summary>The instruments of the factory's meter, or of the process's own.</summary>
    public static MeterInstruments Of(IMeterFactory? factory) =>
        factory is null ? Default : OfFactories.GetValue(factory.Create(new MeterOptions(MeterName)), static meter => new MeterInstruments(meter));

    public void Add(MachineMetrics machine) => _machines.Add(machine);

    public void Remove(MachineMetrics machine) => _machines.Remove(machine);

    /// <summary>Makes a counter unless it is there.</summary>
    public Listening EnsureCounter<T>(string name, string unit, string description) where T : struct =>
        Ensure(name, () => _meter.CreateObservableCounter(name, () => Read<T>(name), unit, description));

    /// <summary>Makes an up-down counter unless it is there.</summary>
    public Listening EnsureUpDownCounter<T>(string name, string unit, string description) where T : struct =>
        Ensure(name, () => _meter.CreateObservableUpDownCounter(name, () => Read<T>(name), unit, description));

    private Listening Ensure(string name, Func<Instrument> create)
    {
        Listening listening;
        lock (_gate)
        {
            if (_instruments.TryGetValue(name, out Listening? known))
                return known;
            _instruments.Add(name, listening = new Listening());
        }

        // Without the lock: it calls the listeners, which are the host's.
        listening.Instrument = create();
        return listening;
    }

    private IEnumerable<Measurement<T>> Read<T>(string name) where T : struct => _machines.Live.SelectMany(machine => machine.Read<T>(name));

    /// <summary>Whether somebody listens to an instrument.</summary>
    public sealed class Listening
    {
        internal Instrument? Instrument { get; set; }

        public bool IsEnabled => Instrument is { Enabled: true };
    }
}
