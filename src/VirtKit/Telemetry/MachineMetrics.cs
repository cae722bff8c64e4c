using System.Diagnostics.Metrics;

namespace VirtKit.Telemetry;

/// <summary>What one machine has to say to the instruments of its meter: its vCPUs' event counts, and what its engine adds. The measurements carry the tag
/// <c>machine</c>, a vCPU's also <c>vcpu</c>. Nothing is counted for them: they are read when somebody collects.</summary>
/// <remarks>Thread-safe. The meter outlives the machine and holds it only weakly.</remarks>
internal sealed class MachineMetrics : IDisposable
{
    private static readonly VcpuInstrument[] VcpuInstruments =
    [
        new("virtkit.instructions.retired", "{instruction}", "Instructions retired.", c => c.Retired),
        new("virtkit.exits", "{exit}", "Returns from the engine to the host.", c => c.Exits),
        new("virtkit.mmio.accesses", "{access}", "Loads and stores that a device answered.", c => c.MmioAccesses),
        new("virtkit.tlb.misses", "{miss}", "Translations that the software TLB did not hold.", c => c.TlbMisses),
        new("virtkit.traps", "{trap}", "Exceptions and interrupts that the guest took.", c => c.Traps),
    ];

    private readonly Lock _gate = new();
    private readonly MeterInstruments _instruments;
    private readonly KeyValuePair<string, object?> _machine;

    /// <summary>What the instruments read, by their names: for measurements of <c>T</c> a <c>Func</c> of an <c>IEnumerable</c> of them.</summary>
    private readonly Dictionary<string, Delegate> _sources = [];

    private bool _disposed;

    /// <param name="factory">Makes the meter; <see langword="null"/> for the process's own.</param>
    /// <param name="machine">The machine's name.</param>
    public MachineMetrics(IMeterFactory? factory, string machine)
    {
        _instruments = MeterInstruments.Of(factory);
        _machine = new("machine", machine);
        _instruments.Add(this);
    }

    /// <summary>Shows the vCPUs' counts.</summary>
    public void Show(Vcpu[] vcpus)
    {
        foreach (VcpuInstrument instrument in VcpuInstruments)
        {
            Add(instrument.Name, () => vcpus.Select(v => new Measurement<long>((long)instrument.Count(v.Counters), _machine, new("vcpu", v.Index))));
            _instruments.EnsureCounter<long>(instrument.Name, instrument.Unit, instrument.Description);
        }
    }

    /// <summary>Shows a count of the machine that only grows.</summary>
    /// <returns>Whether somebody listens to it.</returns>
    public MeterInstruments.Listening Count<T>(string name, string unit, string description, Func<T> value) where T : struct
    {
        Add<T>(name, () => [new Measurement<T>(value(), _machine)]);
        return _instruments.EnsureCounter<T>(name, unit, description);
    }

    /// <summary>Shows a size in bytes of the machine that grows and shrinks.</summary>
    public void Size(string name, string description, Func<long> value)
    {
        Add<long>(name, () => [new Measurement<long>(value(), _machine)]);
        _instruments.EnsureUpDownCounter<long>(name, "By", description);
    }

    /// <summary>The machine's measurements of one instrument; none where it has no such value or is gone.</summary>
    public IReadOnlyList<Measurement<T>> Read<T>(string name) where T : struct
    {
        // Held against Dispose: what the values are read from is released behind it.
        lock (_gate)
            return !_disposed && _sources.TryGetValue(name, out Delegate? source) ? [.. ((Func<IEnumerable<Measurement<T>>>)source)()] : [];
    }

    /// <summary>Takes the machine's measurements away, before what they are read from is released.</summary>
    public void Dispose()
    {
        lock (_gate)
            _disposed = true;
        _instruments.Remove(this);
    }

    // An engine that takes the place of one of its kind takes over its measurements.
    private void Add<T>(string name, Func<IEnumerable<Measurement<T>>> source) where T : struct
    {
        lock (_gate)
            _sources[name] = source;
    }

    private sealed record VcpuInstrument(string Name, string Unit, string Description, Func<Engines.VcpuCounters, ulong> Count);
}
