using System.Diagnostics;

namespace VirtKit.Accel.Kvm;

/// <summary>The clocks that the kernel keeps for a guest: each vCPU's time-stamp counter and the paravirtual clock. The kernel lets them run on while no vCPU runs.</summary>
internal sealed unsafe class KvmGuestClocks(KvmDescriptor vm, KvmSystem system)
{
    private const uint TimeStampCounter = 0x10;

    /// <summary>A host that drives its guest in small steps stands still for microseconds at a time; setting the clocks back costs more than that, and nobody notices.</summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(10);

    private readonly List<KvmDescriptor> _vcpus = [];
    private long _setAt;

    public void Add(KvmDescriptor vcpu) => _vcpus.Add(vcpu);

    /// <summary>The host has set a clock: what it set counts from here, not from when the machine stopped.</summary>
    public void NoteSet() => Volatile.Write(ref _setAt, Stopwatch.GetTimestamp());

    /// <summary>The machine goes on after it has stood still.</summary>
    /// <param name="stood">For how long.</param>
    /// <param name="hold">Whether the guest's clocks are set back by that.</param>
    public void GoOn(TimeSpan stood, bool hold)
    {
        if (stood < Shortest)
            return;
        if (hold)
        {
            // Not beyond what the host has set meanwhile: a restored state counts from then.
            long setAt = Volatile.Read(ref _setAt);
            TimeSpan held = setAt == 0 ? stood : TimeSpan.FromTicks(Math.Min(stood.Ticks, Stopwatch.GetElapsedTime(setAt).Ticks));
            SetBack((ulong)held.Ticks * 100);
        }

        // The guest's watchdogs are told that it was paused (Documentation/virt/kvm/api.rst, KVM_KVMCLOCK_CTRL). A vCPU without the clock refuses, and has no such watchdog.
        foreach (KvmDescriptor vcpu in _vcpus)
            vcpu.TryCall(KvmIoctl.KvmclockCtrl, 0);
    }

    private void SetBack(ulong nanoseconds)
    {
        foreach (KvmDescriptor vcpu in _vcpus)
        {
            int kilohertz = system.Check(KvmCap.GetTscKhz) > 0 ? vcpu.TryCall(KvmIoctl.GetTscKhz, 0) : 0;
            ulong ticks = kilohertz > 0 ? (ulong)((UInt128)nanoseconds * (uint)kilohertz / 1_000_000) : 0;
            if (ticks != 0 && !TryMoveOffset(vcpu, ticks))
                SetCounterBack(vcpu, ticks);
        }

        KvmClock clock = default;
        if (vm.TryCall(KvmIoctl.GetClock, ref clock) < 0)
            return;
        clock = new KvmClock { Clock = clock.Clock - Math.Min(nanoseconds, clock.Clock) };
        vm.TryCall(KvmIoctl.SetClock, ref clock);
    }

    /// <summary>Moves a counter's distance from the host's (Linux 5.16 and later). Counters that were in step stay in step: their distances were equal, and are.</summary>
    private static bool TryMoveOffset(KvmDescriptor vcpu, ulong ticks)
    {
        ulong offset = 0;
        var attribute = new KvmDeviceAttr { Group = KvmDeviceAttr.TscControl, Attr = KvmDeviceAttr.TscOffset, Addr = (ulong)&offset };
        // SAFETY: the kernel reads and writes the eight bytes of the local variable during the two calls.
        if (vcpu.TryCall(KvmIoctl.GetDeviceAttr, ref attribute) < 0)
            return false;
        offset = unchecked(offset - ticks);
        return vcpu.TryCall(KvmIoctl.SetDeviceAttr, ref attribute) >= 0;
    }

    /// <summary>Sets a counter itself. The kernel takes a value within a second of what it expects for an attempt to synchronise vCPUs and ignores it, so that a shorter pause
    /// is not held. A counter does not wrap backwards.</summary>
    private static void SetCounterBack(KvmDescriptor vcpu, ulong ticks)
    {
        var list = new KvmMsrs { Nmsrs = 1 };
        list.Entries[0].Index = TimeStampCounter;
        if (vcpu.TryCall(KvmIoctl.GetMsrs, ref list) != 1 || ticks > list.Entries[0].Data)
            return;
        list.Entries[0].Data -= ticks;
        vcpu.TryCall(KvmIoctl.SetMsrs, ref list);
    }
}
