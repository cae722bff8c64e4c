using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>IA32_TSC_DEADLINE where the local APICs are device models: the kernel hands the MSR to us, and the model is told how long the deadline is away.</summary>
internal sealed class KvmTscDeadline(X64Platform platform) : IMsrHandler
{
    public const uint Msr = 0x6e0;

    private const uint TimeStampCounter = 0x10, NanosecondsPerMillisecond = 1_000_000;

    private readonly List<(KvmDescriptor Vcpu, bool IsShown)> _vcpus = [];

    /// <summary>Adds the next vCPU.</summary>
    /// <param name="vcpu">The vCPU.</param>
    /// <param name="cpuid">What its CPUID answers: without the feature there is no such MSR.</param>
    public void Add(KvmDescriptor vcpu, CpuidTable cpuid) => _vcpus.Add((vcpu, (cpuid.Lookup(1, 0).Ecx >> CpuidFeature.Named("tsc_deadline").Bit & 1) != 0));

    public bool TryRead(int vcpu, uint index, out ulong value)
    {
        value = platform.RequireLocalApics()[vcpu].Deadline;
        return _vcpus[vcpu].IsShown;
    }

    public bool TryWrite(int vcpu, uint index, ulong value)
    {
        if (!_vcpus[vcpu].IsShown)
            return false;
        platform.RequireLocalApics()[vcpu].SetDeadline(value, value == 0 ? 0 : Delay(_vcpus[vcpu].Vcpu, value));
        return true;
    }

    /// <summary>How long a vCPU's counter takes to a value, in nanoseconds, rounded up: an interrupt must not come before its deadline.</summary>
    private static ulong Delay(KvmDescriptor vcpu, ulong deadline)
    {
        var list = new KvmMsrs { Nmsrs = 1 };
        list.Entries[0].Index = TimeStampCounter;
        vcpu.Call(KvmIoctl.GetMsrs, ref list, "hand out its time-stamp counter");
        ulong now = list.Entries[0].Data, kilohertz = (ulong)vcpu.Call(KvmIoctl.GetTscKhz, 0, "say how fast its time-stamp counter is");
        if (deadline <= now)
            return 0;
        UInt128 delay = ((UInt128)(deadline - now) * NanosecondsPerMillisecond + kilohertz - 1) / kilohertz;
        return delay > ulong.MaxValue ? ulong.MaxValue : (ulong)delay;
    }
}
