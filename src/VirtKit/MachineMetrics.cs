using System.Diagnostics.Metrics;

namespace VirtKit;

/// <summary>The machine's event counts as instruments of the meter <c>VirtKit</c>, one measurement a vCPU. They cost nothing until somebody listens.</summary>
internal sealed class MachineMetrics : IDisposable
{
    private readonly Meter _meter = new("VirtKit");

    public MachineMetrics(Vcpu[] vcpus)
    {
        Add("virtkit.instructions.retired", "{instruction}", "Instructions retired.", v => v.Counters.Retired);
        Add("virtkit.exits", "{exit}", "Returns from the engine to the host.", v => v.Counters.Exits);
        Add("virtkit.mmio.accesses", "{access}", "Loads and stores that a device answered.", v => v.Counters.MmioAccesses);
        Add("virtkit.tlb.misses", "{miss}", "Translations that the software TLB did not hold.", v => v.Counters.TlbMisses);
        Add("virtkit.traps", "{trap}", "Exceptions and interrupts that the guest took.", v => v.Counters.Traps);

        void Add(string name, string unit, string description, Func<Vcpu, ulong> count) => _meter.CreateObservableCounter(
            name, () => vcpus.Select(v => new Measurement<long>((long)count(v), new KeyValuePair<string, object?>("vcpu", v.Index))), unit, description);
    }

    public void Dispose() => _meter.Dispose();
}
