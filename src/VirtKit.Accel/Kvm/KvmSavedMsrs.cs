using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>The MSRs of a vCPU that its state holds.</summary>
/// <param name="vcpu">The vCPU.</param>
/// <param name="indices">Those that the host's kernel saves; fewer from the first time on where this vCPU's CPUID denies it some.</param>
internal sealed class KvmSavedMsrs(KvmDescriptor vcpu, uint[] indices)
{
    private uint[] _indices = indices;

    public void Get(ref X64State state)
    {
        while (true)
        {
            var list = new KvmMsrs { Nmsrs = (uint)_indices.Length };
            for (int i = 0; i < _indices.Length; i++)
                list.Entries[i].Index = _indices[i];
            int done = vcpu.Call(KvmIoctl.GetMsrs, ref list, "hand out MSRs");
            if (done < _indices.Length)
            {
                // The kernel stops at the first that it does not give.
                _indices = [.. _indices.Where((_, i) => i != done)];
                continue;
            }

            for (int i = 0; i < done; i++)
                state.Msrs[i] = new X64Msr(list.Entries[i].Index, list.Entries[i].Data);
            state.MsrCount = done;
            return;
        }
    }

    /// <summary>Sets the MSRs of a state. One that this host lacks, or that the state holds elsewhere, is passed over: it is dropped as a bit that the architecture does not hold.</summary>
    /// <returns>0, or the error number, negated, with the MSR whose value the kernel does not take.</returns>
    public (int Error, X64Msr Refused) Set(in X64State state)
    {
        Span<X64Msr> wanted = stackalloc X64Msr[X64State.MsrCapacity];
        int count = 0;
        foreach (X64Msr msr in ((ReadOnlySpan<X64Msr>)state.Msrs)[..Math.Clamp(state.MsrCount, 0, X64State.MsrCapacity)])
        {
            if (!IsHeldElsewhere(msr.Index))
                wanted[count++] = msr;
        }

        for (int from = 0; from < count;)
        {
            var list = new KvmMsrs { Nmsrs = (uint)(count - from) };
            for (int i = from; i < count; i++)
                list.Entries[i - from] = new KvmMsrEntry { Index = wanted[i].Index, Data = wanted[i].Value };
            int done = vcpu.TryCall(KvmIoctl.SetMsrs, ref list);
            if (done < 0)
                return (done, default);
            from += done;
            // The kernel stops at the first that it does not take. One of its own interface is there only where CPUID shows the feature, and zero is what one that is not there holds.
            if (from < count && wanted[from].Value != 0 && !IsParavirtual(wanted[from].Index) && _indices.Contains(wanted[from].Index))
                return (-Libc.Einval, wanted[from]);
            from++;
        }

        return (0, default);
    }

    /// <summary>MSRs of KVM's interface, and of Hyper-V's.</summary>
    private static bool IsParavirtual(uint index) => index is 0x11 or 0x12 or (>= 0x4b56_4d00 and < 0x4b56_4e00) or (>= 0x4000_0000 and < 0x4000_0200);

    /// <summary>IA32_APIC_BASE, IA32_EFER and the bases of FS and GS are fields of their own in a state.</summary>
    private static bool IsHeldElsewhere(uint index) => index is 0x1b or 0xc000_0080 or 0xc000_0100 or 0xc000_0101;
}
