using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;

namespace VirtKit.Samples.RunElf;

/// <summary>Listens to the meter <c>VirtKit</c>, as a host's monitoring would, and writes what it says.</summary>
internal sealed class MetricsReport : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly SortedDictionary<string, double> _sums = new(StringComparer.Ordinal);

    public MetricsReport()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "VirtKit")
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Add(instrument, value));
        _listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Add(instrument, value));
        _listener.Start();
    }

    /// <summary>Writes a line for each instrument, its name and the sum over what it measures, and one for the most memory that the process has had at once.</summary>
    public void Write(TextWriter output)
    {
        _sums.Clear();
        _listener.RecordObservableInstruments();
        using var process = Process.GetCurrentProcess();
        _sums["process.memory.peak"] = process.PeakWorkingSet64;
        _sums["process.allocated"] = GC.GetTotalAllocatedBytes();
        foreach ((string name, double value) in _sums)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}={value:0.######}"));
    }

    public void Dispose() => _listener.Dispose();

    private void Add(Instrument instrument, double value) => _sums[instrument.Name] = _sums.GetValueOrDefault(instrument.Name) + value;
}
