namespace VirtKit.X86;

/// <summary>What follows from a feature that is shown or hidden, beside the layout of the XSAVE area and the topology: other features, leaves, and copies of its bit.</summary>
internal static class CpuidDependencies
{
    private const string Reason = "follows from the features";

    /// <summary>The leaves that only describe a feature (SDM 2A, CPUID; APM 3, appendix E).</summary>
    public static IReadOnlyList<(uint First, uint Last, string Feature)> Leaves { get; } =
    [
        (3, 3, "pn"), (5, 5, "monitor"), (9, 9, "dca"), (0xd, 0xd, "xsave"), (0xf, 0xf, "pqm"), (0x10, 0x10, "rdt_a"), (0x12, 0x12, "sgx"), (0x14, 0x14, "intel_pt"),
        (0x19, 0x19, "aeskle"), (0x1a, 0x1a, "hybrid_cpu"), (0x1b, 0x1b, "pconfig"), (0x1c, 0x1c, "arch_lbr"), (0x1d, 0x1e, "amx_tile"), (0x20, 0x20, "hreset"),
        (0x23, 0x23, "arch_perfmon_ext"), (0x24, 0x24, "avx10"), (0x4000_0000, 0x4000_ffff, "hypervisor"),
        (0x8000_000a, 0x8000_000a, "svm"), (0x8000_001b, 0x8000_001b, "ibs"), (0x8000_001c, 0x8000_001c, "lwp"), (0x8000_001d, 0x8000_001e, "topoext"),
        (0x8000_0022, 0x8000_0022, "perfctr_core"),
    ];

    /// <summary>The bits of leaf 1 EDX that AMD's processors repeat in leaf 0x80000001 EDX, where Intel's have zeros (APM 3, appendix E.4.2).</summary>
    public const uint RepeatedBits = 0x0183_f3ff;

    /// <summary>Adds to a set of features all that need one of them.</summary>
    public static void AddDependents(HashSet<string> hidden)
    {
        while (CpuidFeature.All.Where(f => !hidden.Contains(f.Name) && f.Needed.Any(hidden.Contains)).ToArray() is { Length: > 0 } more)
            hidden.UnionWith(more.Select(f => f.Name));
    }

    /// <summary>Hides features that the host offers without one that they need, or without their part of the XSAVE area: Linux lists AMX to a process that has not asked for its state.</summary>
    public static void HideIncomplete(CpuidDraft draft)
    {
        var hidden = new HashSet<string>();
        foreach ((int component, string feature) in CpuidXsaveLeaf.UserComponents)
        {
            if (draft.Has(feature) && !CpuidXsaveLeaf.IsOffered(draft, component))
                hidden.Add(feature);
        }

        hidden.UnionWith(CpuidFeature.All.Where(f => draft.Has(f.Name) && !f.Needed.All(draft.Has)).Select(f => f.Name));
        if (hidden.Count == 0)
            return;
        AddDependents(hidden);
        foreach (string name in hidden.Where(draft.Has))
            draft.SetFeature(name, false, "the host offers it without what it needs");
    }

    public static void Derive(CpuidDraft draft)
    {
        foreach ((uint first, uint last, string feature) in Leaves)
        {
            CpuidEntry[] rows = [.. draft.Entries.Where(e => e.Leaf >= first && e.Leaf <= last && !draft.IsDecided(e.Leaf, e.Subleaf))];
            if (!draft.Has(feature))
            {
                // A feature that was asked for by name keeps its leaf, and the set is refused.
                foreach (CpuidEntry row in rows.Where(r => !CpuidFeature.All.Any(f => f.Leaf == r.Leaf && draft.IsPromised(f.Name))))
                    draft.RemoveRow(row.Leaf, row.Subleaf, Reason);
            }
            else if (last is (0xd or 0x12 or 0x14 or 0x8000_001e) && draft.IsDecided(last, 0) && draft[last, 0] == default)
            {
                // Who has the feature takes the leaf's numbers for granted.
                draft.Refuse($"{feature} needs leaf 0x{last:x}, which is hidden");
            }
        }

        // EAX of leaf 7 is the last subleaf.
        uint subleaves = draft.Entries.Where(e => e.Leaf == 7 && e.Answer != default).Select(e => e.Subleaf).DefaultIfEmpty().Max();
        if (!draft.IsDecided(7, 0))
            draft.SetRegister(7, 0, CpuidRegister.Eax, subleaves, Reason);
        if (!draft.IsDecided(0x8000_0001, 0))
        {
            uint edx = draft[0x8000_0001, 0].Edx & ~RepeatedBits;
            draft.SetRegister(0x8000_0001, 0, CpuidRegister.Edx, draft.IsAmd ? edx | (draft[1, 0].Edx & RepeatedBits) : edx, Reason);
        }

        // Bits 15 to 8 are the width of linear addresses.
        uint sizes = draft[0x8000_0008, 0].Eax, width = draft.Has("la57") ? 57u : draft.Has("lm") ? 48u : 32u;
        if (!draft.IsDecided(0x8000_0008, 0) && ((sizes >> 8) & 0xff) > width)
            draft.SetRegister(0x8000_0008, 0, CpuidRegister.Eax, (sizes & ~0xff00u) | (width << 8), Reason);
    }

    /// <summary>Drops rows behind the last leaf of their range: a processor does not have them, and an engine would answer from them.</summary>
    public static void DropUnreachable(CpuidDraft draft)
    {
        foreach (CpuidEntry row in draft.Entries.Where(e => !CpuidHypervisor.IsLeaf(e.Leaf) && !draft.IsDecided(e.Leaf, e.Subleaf)).ToArray())
        {
            uint range = row.Leaf & 0xf000_0000;
            if (row.Leaf > Math.Max(draft[range, 0].Eax, range))
                draft.RemoveRow(row.Leaf, row.Subleaf, "behind the last leaf");
        }
    }
}
