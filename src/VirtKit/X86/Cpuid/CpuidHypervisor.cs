using System.Buffers.Binary;
using System.Text;

namespace VirtKit.X86;

/// <summary>What a guest finds in the hypervisor's leaves, 0x40000000 and up. Immutable and thread-safe.</summary>
public sealed record CpuidHypervisor
{
    private readonly byte[]? _signature;
    private readonly uint? _features;

    private CpuidHypervisor(string? signature, uint? features)
    {
        _signature = signature is null ? null : Encoding.ASCII.GetBytes(signature.PadRight(12, '\0'));
        _features = features;
    }

    /// <summary>No leaves, and no hypervisor bit: the guest is told that it runs on a bare processor.</summary>
    public static CpuidHypervisor None { get; } = new(null, null);

    /// <summary>VirtKit's own signature, without features.</summary>
    public static CpuidHypervisor VirtKit { get; } = new("VirtKitVirtK", null);

    /// <summary>KVM's signature, with those of these paravirtual features that the engine provides.</summary>
    /// <param name="features">The features to show.</param>
    public static CpuidHypervisor Kvm(KvmParavirtualFeatures features) => new("KVMKVMKVM", (uint)features);

    /// <summary>Whether a leaf is the hypervisor's and no part of a processor.</summary>
    internal static bool IsLeaf(uint leaf) => leaf is >= 0x4000_0000 and < 0x4001_0000;

    internal void Apply(CpuidDraft draft)
    {
        const string reason = "hypervisor leaf";
        uint offered = draft.HostAnswer(0x4000_0001, 0).Eax;
        draft.RemoveLeaves(0x4000_0000, 0x4000_ffff, reason);
        draft.SetFeature("hypervisor", _signature is not null, reason);
        if (_signature is null)
            return;
        ReadOnlySpan<byte> text = _signature;
        uint last = _features is null ? 0x4000_0000 : 0x4000_0001u;
        draft.SetEntry(0x4000_0000, null, new CpuidResult(last, BinaryPrimitives.ReadUInt32LittleEndian(text),
            BinaryPrimitives.ReadUInt32LittleEndian(text[4..]), BinaryPrimitives.ReadUInt32LittleEndian(text[8..])), reason);
        if (_features is { } features)
            draft.SetEntry(0x4000_0001, null, new CpuidResult(offered & features, 0, 0, 0), reason);
    }
}

/// <summary>Paravirtual features of KVM's interface; the values are the bits of leaf 0x40000001 EAX (Linux, Documentation/virt/kvm/x86/cpuid.rst).</summary>
[Flags]
public enum KvmParavirtualFeatures : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>kvmclock through the MSRs 0x11 and 0x12.</summary>
    ClockSource = 1 << 0,

    /// <summary>Port accesses need no delay.</summary>
    NoIoDelay = 1 << 1,

    /// <summary>kvmclock through the MSRs 0x4b564d00 and 0x4b564d01.</summary>
    ClockSource2 = 1 << 3,

    /// <summary>Steal time.</summary>
    StealTime = 1 << 5,

    /// <summary>End of interrupt through memory; needs the local APIC in the kernel.</summary>
    PvEoi = 1 << 6,

    /// <summary>A kick for a halted vCPU that waits for a lock; needs the local APIC in the kernel.</summary>
    PvUnhalt = 1 << 7,

    /// <summary>TLB flushes that skip vCPUs which do not run.</summary>
    PvTlbFlush = 1 << 9,

    /// <summary>Inter-processor interrupts by hypercall; needs the local APIC in the kernel.</summary>
    PvSendIpi = 1 << 11,

    /// <summary>The guest can turn the host's polling on HLT off; needs the local APIC in the kernel.</summary>
    PollControl = 1 << 12,

    /// <summary>Yielding to a vCPU by hypercall; needs the local APIC in the kernel.</summary>
    PvSchedYield = 1 << 13,

    /// <summary>kvmclock is monotonic across vCPUs.</summary>
    ClockSourceStable = 1 << 24,

    /// <summary>The clock and steal time, which need nothing but the kernel.</summary>
    Default = ClockSource | NoIoDelay | ClockSource2 | StealTime | ClockSourceStable,
}
