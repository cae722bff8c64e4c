using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>CPUID between policies and the kernel.</summary>
internal static unsafe class KvmCpuid
{
    /// <summary>Why <see cref="Offer"/> keeps something back.</summary>
    public const string WithheldReason = "withheld: needs the kernel's local APIC";

    /// <summary>What the engine can offer: the kernel's answers, less what needs the kernel's local APIC where that is not used.</summary>
    public static CpuidEntry[] Offer(CpuidEntry[] capable, KvmInterruptController controller)
    {
        if (controller == KvmInterruptController.Kernel)
            return capable;
        uint withheld = 0;
        foreach (string name in (ReadOnlySpan<string>)["x2apic", "tsc_deadline"])
            withheld |= 1u << CpuidFeature.Named(name).Bit;
        return [.. capable.Select(e => e.Leaf switch
        {
            1 => e with { Answer = e.Answer with { Ecx = e.Answer.Ecx & ~withheld } },
            0x4000_0001 => e with { Answer = e.Answer with { Eax = e.Answer.Eax & (uint)KvmParavirtualFeatures.Default } },
            _ => e,
        })];
    }

    /// <summary>An offer with a further feature of leaf 1, ECX.</summary>
    public static CpuidEntry[] With(CpuidEntry[] entries, string feature) => Leaf1(entries, CpuidFeature.Named(feature).Bit, present: true);

    /// <summary>Reads a table: the system's offer, or what a vCPU has.</summary>
    public static CpuidEntry[] Read(KvmDescriptor descriptor, nuint request)
    {
        for (int capacity = 256; ; capacity *= 2)
        {
            byte[] table = new byte[8 + (capacity * sizeof(KvmCpuidEntry2))];
            // SAFETY: the table has room for the number of entries that its head tells the kernel.
            fixed (byte* pointer = table)
            {
                *(int*)pointer = capacity;
                int result = descriptor.TryCall(request, (nint)pointer);
                if (result == -Libc.E2big && capacity < 4096)
                    continue;
                if (result < 0)
                    throw new VirtKitException($"KVM refuses to list its CPUID answers: {Libc.Message(-result)}.");
                var entries = new CpuidEntry[*(int*)pointer];
                for (int i = 0; i < entries.Length; i++)
                {
                    ref KvmCpuidEntry2 e = ref ((KvmCpuidEntry2*)(pointer + 8))[i];
                    entries[i] = new CpuidEntry(e.Function, e.Index, (e.Flags & KvmCpuidEntry2.SignificantIndex) != 0, new CpuidResult(e.Eax, e.Ebx, e.Ecx, e.Edx));
                }

                return entries;
            }
        }
    }

    /// <summary>Gives a vCPU its table. The kernel answers from it without leaving the guest for us.</summary>
    /// <returns>The table as the kernel took it: a nested one may show what it cannot hide.</returns>
    public static CpuidTable Set(KvmDescriptor vcpu, CpuidTable table)
    {
        byte[] bytes = new byte[8 + (table.Entries.Count * sizeof(KvmCpuidEntry2))];
        // SAFETY: the buffer has room for the number of entries in its head.
        fixed (byte* pointer = bytes)
        {
            *(int*)pointer = table.Entries.Count;
            var entries = (KvmCpuidEntry2*)(pointer + 8);
            for (int i = 0; i < table.Entries.Count; i++)
            {
                CpuidEntry entry = table.Entries[i];
                entries[i] = new KvmCpuidEntry2
                {
                    Function = entry.Leaf,
                    Index = entry.Subleaf,
                    Flags = entry.HasSubleaves ? KvmCpuidEntry2.SignificantIndex : 0,
                    Eax = entry.Answer.Eax,
                    Ebx = entry.Answer.Ebx,
                    Ecx = entry.Answer.Ecx,
                    Edx = entry.Answer.Edx,
                };
            }

            vcpu.Call(KvmIoctl.SetCpuid2, (nint)pointer, "take the CPUID table");
        }

        return table.Corrected(Read(vcpu, KvmIoctl.GetCpuid2), "the kernel answers so in spite of the policy");
    }

    private static CpuidEntry[] Leaf1(CpuidEntry[] entries, int bit, bool present) =>
        [.. entries.Select(e => e.Leaf != 1 ? e : e with { Answer = e.Answer with { Ecx = present ? e.Answer.Ecx | 1u << bit : e.Answer.Ecx & ~(1u << bit) } })];
}
