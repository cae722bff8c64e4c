using System.Diagnostics.Metrics;

namespace VirtKit;

/// <summary>The machines' event counts as instruments of the meter <c>VirtKit</c>, one measurement a vCPU. They cost nothing until somebody listens.</summary>
internal static class MachineMetrics
{
    private static readonly Observed<Vcpu[]> Machines = new();
    private static readonly Meter Meter = CreateMeter();

    /// <summary>Shows the vCPUs of a machine.</summary>
    public static void Add(Vcpu[] vcpus) => Machines.Add(vcpus);

    /// <summary>Shows them no longer.</summary>
    public static void Remove(Vcpu[] vcpus) => Machines.Remove(vcpus);

    private static Meter CreateMeter()
    {
        var meter = new Meter("VirtKit");
        Add("virtkit.instructions.retired", "{instruction}", "Instructions retired.", v => v.Counters.Retired);
        Add("virtkit.exits", "{exit}", "Returns from the engine to the host.", v => v.Counters.Exits);
        Add("virtkit.mmio.accesses", "{access}", "Loads and stores that a device answered.", v => v.Counters.MmioAccesses);
        Add("virtkit.tlb.misses", "{miss}", "Translations that the software TLB did not hold.", v => v.Counters.TlbMisses);
        Add("virtkit.traps", "{trap}", "Exceptions and interrupts that the guest took.", v => v.Counters.Traps);
        return meter;

        void Add(string name, string unit, string description, Func<Vcpu, ulong> count) => meter.CreateObservableCounter(name,
            () => Machines.Live.SelectMany(vcpus => vcpus.Select(v => new Measurement<long>((long)count(v), new KeyValuePair<string, object?>("vcpu", v.Index)))), unit, description);
    }
}
