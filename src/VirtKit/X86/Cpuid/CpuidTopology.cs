using System.Numerics;

namespace VirtKit.X86;

/// <summary>How a machine's vCPUs form cores and packages. An APIC ID, which is the vCPU's index, names thread, core and package in its bits (SDM 3A §10.9.1): where
/// a count is no power of two, its numbers have a gap, and a machine with a vCPU in that gap is refused.</summary>
/// <param name="CoresPerPackage">1 to 256.</param>
/// <param name="ThreadsPerCore">1 to 16.</param>
public readonly record struct CpuidTopology(int CoresPerPackage, int ThreadsPerCore = 1)
{
    /// <summary>Fills the leaves 1, 4, 0xB and 0x1F (SDM 3A §10.9.1).</summary>
    internal void Apply(CpuidDraft draft)
    {
        if (CoresPerPackage is < 1 or > 256 || ThreadsPerCore is < 1 or > 16)
        {
            draft.Refuse($"the topology has {CoresPerPackage} cores a package and {ThreadsPerCore} threads a core; 1 to 256 and 1 to 16 are possible");
            return;
        }

        const string reason = "topology";
        draft.Topology = this;
        int threads = CoresPerPackage * ThreadsPerCore;
        int threadBits = Bits(ThreadsPerCore), packageBits = Bits(CoresPerPackage) + threadBits;
        uint logical = (uint)Math.Min(threads, 255);
        draft.SetRegister(1, 0, CpuidRegister.Ebx, (draft[1, 0].Ebx & 0xff00_ffff) | (logical << 16), reason);
        draft.SetFeature("ht", threads > 1, reason);
        foreach (CpuidEntry entry in draft.Entries.Where(e => e.Leaf == 4 && (e.Answer.Eax & 0x1f) != 0).ToArray())
        {
            // Levels 1 and 2 belong to a core, level 3 to the package.
            uint sharing = ((entry.Answer.Eax >> 5) & 7) >= 3 ? (1u << packageBits) - 1 : (1u << threadBits) - 1;
            uint cores = Math.Min((1u << Bits(CoresPerPackage)) - 1, 63);
            draft.SetRegister(4, entry.Subleaf, CpuidRegister.Eax, (entry.Answer.Eax & 0x3fff) | (Math.Min(sharing, 0xfff) << 14) | (cores << 26), reason);
        }

        uint id = (uint)draft.Vcpu, thread = id & ((1u << threadBits) - 1), core = (id & ((1u << packageBits) - 1)) >> threadBits;
        if (thread >= ThreadsPerCore || core >= CoresPerPackage)
            draft.Refuse($"vCPU {id} would be thread {thread} of core {core} in a package, and the topology has {CoresPerPackage} cores a package and {ThreadsPerCore} threads a core");
        foreach (uint leaf in (ReadOnlySpan<uint>)[0xb, 0x1f])
        {
            if (leaf > draft[0, 0].Eax)
                continue;
            draft.SetEntry(leaf, 0, new CpuidResult((uint)threadBits, (uint)ThreadsPerCore, 0x100, id), reason);
            draft.SetEntry(leaf, 1, new CpuidResult((uint)packageBits, (uint)threads, 0x201, id), reason);
            draft.SetEntry(leaf, 2, new CpuidResult(0, 0, 2, id), reason);
        }
    }

    private static int Bits(int count) => count > 1 ? BitOperations.Log2((uint)count - 1) + 1 : 0;
}
