using System.Numerics;

namespace VirtKit.X86;

/// <summary>How a machine's vCPUs form cores and packages. An APIC ID, which is the vCPU's index, names thread, core and package in its bits (SDM 3A §10.9.1): where
/// a count is no power of two, its numbers have a gap, and a machine with a vCPU in that gap is refused.</summary>
/// <param name="CoresPerPackage">1 to 256.</param>
/// <param name="ThreadsPerCore">1 to 16.</param>
public readonly record struct CpuidTopology(int CoresPerPackage, int ThreadsPerCore = 1)
{
    private const string Reason = "topology";

    private int Threads => CoresPerPackage * ThreadsPerCore;

    private int ThreadBits => Bits(ThreadsPerCore);

    private int PackageBits => Bits(CoresPerPackage) + ThreadBits;

    /// <summary>Takes this topology for a draft: the leaves that say it, and the features that say that there is one.</summary>
    internal void Apply(CpuidDraft draft)
    {
        if (CoresPerPackage is < 1 or > 256 || ThreadsPerCore is < 1 or > 16)
        {
            draft.Refuse($"the topology has {CoresPerPackage} cores a package and {ThreadsPerCore} threads a core; 1 to 256 and 1 to 16 are possible");
            return;
        }

        uint id = (uint)draft.Vcpu, thread = id & ((1u << ThreadBits) - 1), core = (id & ((1u << PackageBits) - 1)) >> ThreadBits;
        if (thread >= ThreadsPerCore || core >= CoresPerPackage)
            draft.Refuse($"vCPU {id} would be thread {thread} of core {core} in a package, and the topology has {CoresPerPackage} cores a package and {ThreadsPerCore} threads a core");
        draft.Topology = this;
        draft.SetFeature("ht", Threads > 1, Reason);
        draft.SetFeature("cmp_legacy", Threads > 1 && draft.IsAmd, Reason);
        Derive(draft);
    }

    /// <summary>Fills the leaves that say where a vCPU is: 1, 4, 0xB, 0x18 and 0x1F (SDM 3A §10.9.1), and on AMD's processors 0x80000008, 0x8000001D, 0x8000001E and 0x80000026
    /// (APM 3, appendices E.4 and E.5). All name the same APIC ID.</summary>
    internal void Derive(CpuidDraft draft)
    {
        uint id = (uint)draft.Vcpu, package = id >> PackageBits, core = (id & ((1u << PackageBits) - 1)) >> ThreadBits;
        uint logical = (uint)Math.Min(Threads, 255);
        if (!draft.IsDecided(1, 0))
            draft.SetRegister(1, 0, CpuidRegister.Ebx, (draft[1, 0].Ebx & 0x0000_ffff) | (logical << 16) | (id << 24), Reason);
        foreach (CpuidEntry entry in draft.Entries.Where(e => e.Leaf is 4 or 0x18 or 0x8000_001d && !draft.IsDecided(e.Leaf, e.Subleaf)).ToArray())
            SetSharing(draft, entry);
        foreach (uint leaf in (ReadOnlySpan<uint>)[0xb, 0x1f])
        {
            if (leaf <= draft[0, 0].Eax)
                SetLevels(draft, leaf, coreType: 1, packageType: 2);
        }

        bool amd = draft.IsAmd;
        uint extended = draft[0x8000_0000, 0].Eax;
        if (amd && extended >= 0x8000_0026)
            SetLevels(draft, 0x8000_0026, coreType: 1, packageType: 4);
        if (extended >= 0x8000_0008 && !draft.IsDecided(0x8000_0008, 0))
        {
            // Bits 7 to 0: threads of the package, less one; 15 to 12: bits of an APIC ID that they take; 17 and 16: the width of a time-stamp counter.
            uint count = (draft[0x8000_0008, 0].Ecx & 0x3_0000) | ((uint)PackageBits << 12) | (uint)Math.Min(Threads - 1, 255);
            draft.SetRegister(0x8000_0008, 0, CpuidRegister.Ecx, amd ? count : 0, Reason);
        }

        if (draft.Has("topoext"))
            draft.Derive(0x8000_001e, null, new CpuidResult(id, ((uint)(ThreadsPerCore - 1) << 8) | (core & 0xff), package & 0xff, 0), Reason);
    }

    /// <summary>Caches and TLBs of the levels 1 and 2 belong to a core, those of level 3 to the package. Intel counts the APIC IDs that may be in use, AMD the threads.</summary>
    private void SetSharing(CpuidDraft draft, CpuidEntry entry)
    {
        bool translations = entry.Leaf == 0x18;
        CpuidRegister register = translations ? CpuidRegister.Edx : CpuidRegister.Eax;
        uint value = entry.Answer[register];
        if ((value & 0x1f) == 0)
            return;
        bool shared = ((value >> 5) & 7) >= 3;
        uint sharing = entry.Leaf == 0x8000_001d ? (uint)(shared ? Threads : ThreadsPerCore) - 1 : (1u << (shared ? PackageBits : ThreadBits)) - 1;
        uint cores = entry.Leaf == 4 ? Math.Min((1u << Bits(CoresPerPackage)) - 1, 63) : 0;
        draft.SetRegister(entry.Leaf, entry.Subleaf, register, (value & 0x3fff) | (Math.Min(sharing, 0xfff) << 14) | (cores << 26), Reason);
    }

    private void SetLevels(CpuidDraft draft, uint leaf, uint coreType, uint packageType)
    {
        uint id = (uint)draft.Vcpu;
        draft.Derive(leaf, 0, new CpuidResult((uint)ThreadBits, (uint)ThreadsPerCore, coreType << 8, id), Reason);
        draft.Derive(leaf, 1, new CpuidResult((uint)PackageBits, (uint)Threads, (packageType << 8) | 1, id), Reason);
        draft.Derive(leaf, 2, new CpuidResult(0, 0, 2, id), Reason);
        foreach (CpuidEntry deeper in draft.Entries.Where(e => e.Leaf == leaf && e.Subleaf > 2).ToArray())
            draft.Derive(leaf, deeper.Subleaf, default, Reason);
    }

    private static int Bits(int count) => count > 1 ? BitOperations.Log2((uint)count - 1) + 1 : 0;
}
