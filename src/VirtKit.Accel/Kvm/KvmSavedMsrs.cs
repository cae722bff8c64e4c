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

    /// <summary>An MSR that this host lacks is passed over: it is dropped as a bit that the architecture does not hold.</summary>
    /// <returns>0 or more, or the error number, negated.</returns>
    public int Set(in X64State state)
    {
        int count = Math.Clamp(state.MsrCount, 0, X64State.MsrCapacity);
        for (int from = 0; from < count;)
        {
            var list = new KvmMsrs { Nmsrs = (uint)(count - from) };
            for (int i = from; i < count; i++)
                list.Entries[i - from] = new KvmMsrEntry { Index = state.Msrs[i].Index, Data = state.Msrs[i].Value };
            int done = vcpu.TryCall(KvmIoctl.SetMsrs, ref list);
            if (done < 0)
                return done;
            from += done + 1;
        }

        return 0;
    }
}
