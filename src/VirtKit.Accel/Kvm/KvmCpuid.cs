using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>CPUID between policies and the kernel.</summary>
internal static unsafe class KvmCpuid
{
    /// <summary>What the engine can offer: the kernel's answers, less what needs the kernel's local APIC where that is not used.</summary>
    public static CpuidEntry[] ReadOffer(KvmSystem system, KvmOptions options)
    {
        CpuidEntry[] entries = system.ReadSupportedCpuid();
        if (options.InterruptController == KvmInterruptController.Kernel)
            return entries;
        uint withheld = 0;
        foreach (string name in (ReadOnlySpan<string>)["x2apic", "tsc_deadline"])
            withheld |= 1u << CpuidFeature.Named(name).Bit;
        for (int i = 0; i < entries.Length; i++)
        {
            CpuidResult answer = entries[i].Answer;
            if (entries[i].Leaf == 1)
                entries[i] = entries[i] with { Answer = answer with { Ecx = answer.Ecx & ~withheld } };
            else if (entries[i].Leaf == 0x4000_0001)
                entries[i] = entries[i] with { Answer = answer with { Eax = answer.Eax & (uint)KvmParavirtualFeatures.Default } };
        }

        return entries;
    }

    /// <summary>Gives a vCPU its table. The kernel answers from it without leaving the guest for us.</summary>
    public static void Set(KvmDescriptor vcpu, CpuidTable table)
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
    }
}
