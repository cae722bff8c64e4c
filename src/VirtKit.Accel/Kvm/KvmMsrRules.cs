using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>MSR policy as the kernel's filter: what has a rule leaves the guest for us, everything else is the kernel's.</summary>
internal static unsafe class KvmMsrRules
{
    private const ulong ExitOnUnknown = 1 | 2, ExitOnFilter = 4;

    /// <summary>The MSRs that a state holds beside those in other fields; the kernel's list says which of them it has. SDM 4; the last are KVM's own.</summary>
    private static readonly uint[] Architectural =
    [
        0x10, 0x3a, 0x3b, 0x48, 0x8b, 0x174, 0x175, 0x176, 0x1a0, 0x277, 0x6e0, 0xda0, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0102, 0xc000_0103,
        0x11, 0x12, 0x4b56_4d00, 0x4b56_4d01, 0x4b56_4d02, 0x4b56_4d03, 0x4b56_4d04, 0x4b56_4d05, 0x4b56_4d06,
    ];

    /// <summary>The MSRs that are saved and restored on this host.</summary>
    public static uint[] Saved(KvmSystem system) => [.. Architectural.Intersect(system.ReadMsrList())];

    /// <summary>Installs the policy.</summary>
    /// <exception cref="VirtKitException">The kernel cannot filter what the policy names.</exception>
    public static void Install(KvmDescriptor vm, MsrPolicy policy)
    {
        ulong reasons = (policy.Rules.Count > 0 ? ExitOnFilter : 0) | (policy.EmulatesUnknown ? ExitOnUnknown : 0);
        if (reasons == 0)
            return;
        var enable = new KvmEnableCap { Cap = (uint)KvmCap.X86UserSpaceMsr };
        enable.Args[0] = reasons;
        vm.Call(KvmIoctl.EnableCap, ref enable, "hand MSR accesses to user space");
        if (policy.Rules.Keys.FirstOrDefault(i => i is >= 0x800 and <= 0x8ff) is not 0 and var x2apic)
            throw new VirtKitException($"The MSR policy names 0x{x2apic:x}: KVM does not filter the x2APIC's MSRs.");

        List<(uint First, uint Count)> ranges = Group([.. policy.Rules.Keys.Order()]);
        if (ranges.Count > KvmMsrFilter.MaxRanges)
            throw new VirtKitException($"The MSR policy needs {ranges.Count} ranges; KVM filters at most {KvmMsrFilter.MaxRanges}.");
        if (ranges.Count == 0)
            return;
        byte[] bitmaps = new byte[ranges.Count * KvmMsrFilter.MaxBitmapSize];
        Array.Fill(bitmaps, (byte)0xff);
        // SAFETY: every range gets a bitmap of the greatest size that the kernel reads; the kernel copies them during the call.
        fixed (byte* pointer = bitmaps)
        {
            KvmMsrFilter filter = default;
            for (int i = 0; i < ranges.Count; i++)
            {
                (uint first, uint count) = ranges[i];
                byte* bitmap = pointer + (i * KvmMsrFilter.MaxBitmapSize);
                foreach (uint index in policy.Rules.Keys.Where(k => k - first < count))
                    bitmap[(index - first) / 8] &= (byte)~(1 << (int)((index - first) % 8));
                filter.Ranges[i] = new KvmMsrFilterRange { Flags = KvmMsrFilterRange.Read | KvmMsrFilterRange.Write, Base = first, Nmsrs = count, Bitmap = bitmap };
            }

            vm.Call(KvmIoctl.SetMsrFilter, ref filter, "filter MSR accesses");
        }
    }

    private static List<(uint First, uint Count)> Group(uint[] sorted)
    {
        var ranges = new List<(uint First, uint Count)>();
        foreach (uint index in sorted)
        {
            if (ranges.Count > 0 && index - ranges[^1].First < KvmMsrFilter.MaxBitmapSize * 8)
                ranges[^1] = (ranges[^1].First, index - ranges[^1].First + 1);
            else
                ranges.Add((index, 1));
        }

        return ranges;
    }
}
