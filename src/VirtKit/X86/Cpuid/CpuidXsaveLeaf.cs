namespace VirtKit.X86;

/// <summary>Leaf 0xD, which follows from the features: the components of XCR0 and IA32_XSS, and how much room they take (SDM 1 §13.2).</summary>
internal static class CpuidXsaveLeaf
{
    private const uint Leaf = 0xd;

    /// <summary>x87 and SSE, which every processor with XSAVE has, the area's header included.</summary>
    private const uint LegacySize = 576;

    private const string Reason = "follows from the features";

    /// <summary>The components of XCR0 behind x87 and SSE, and the feature that each belongs to.</summary>
    public static IReadOnlyList<(int Component, string Feature)> UserComponents { get; } =
    [
        (2, "avx"), (3, "mpx"), (4, "mpx"), (5, "avx512f"), (6, "avx512f"), (7, "avx512f"), (9, "pku"), (17, "amx_tile"), (18, "amx_tile"), (19, "apx_f"), (62, "lwp"),
    ];

    /// <summary>The components of IA32_XSS, and the features that they belong to: one of them is enough.</summary>
    public static IReadOnlyList<(int Component, string[] Features)> SupervisorComponents { get; } =
        [(8, ["intel_pt"]), (10, ["enqcmd"]), (11, ["shstk", "ibt"]), (12, ["shstk", "ibt"]), (14, ["uintr"]), (15, ["arch_lbr"])];

    /// <summary>Whether a draft offers a component of XCR0.</summary>
    public static bool IsOffered(CpuidDraft draft, int component) => ((Mask(draft[Leaf, 0].Eax, draft[Leaf, 0].Edx) >> component) & 1) != 0;

    public static void Derive(CpuidDraft draft)
    {
        if (!draft.Has("xsave"))
            return;
        bool supervisor = draft.Has("xsaves");
        ulong user = 3, system = 0;
        foreach ((int component, string feature) in UserComponents)
        {
            user |= draft.Has(feature) ? 1UL << component : 0;
            if (draft.Has(feature) && !IsOffered(draft, component))
                draft.Refuse($"{feature} needs component {component} of the XSAVE area, which the host does not offer");
        }

        foreach ((int component, string[] features) in SupervisorComponents)
            system |= supervisor && features.Any(draft.Has) ? 1UL << component : 0;
        CpuidResult main = draft[Leaf, 0], ways = draft[Leaf, 1];
        user &= Mask(main.Eax, main.Edx);
        system &= Mask(ways.Ecx, ways.Edx);
        uint size = LegacySize;
        foreach (CpuidEntry entry in draft.Entries.Where(e => e.Leaf == Leaf && e.Subleaf >= 2).ToArray())
        {
            bool isSystem = (entry.Answer.Ecx & 1) != 0;
            bool isShown = entry.Subleaf < 64 && (((isSystem ? system : user) >> (int)entry.Subleaf) & 1) != 0;
            // Bit 2 of ECX: the component can be disabled by XFD.
            uint flags = draft.Has("xfd") ? entry.Answer.Ecx : entry.Answer.Ecx & ~4u;
            draft.Derive(Leaf, entry.Subleaf, isShown ? entry.Answer with { Ecx = flags } : default, Reason);
            if (isShown && !isSystem)
                size = Math.Max(size, entry.Answer.Eax + entry.Answer.Ebx);
        }

        // EBX is the room for what XCR0 and IA32_XSS enable now; at reset that is x87 alone, and the engine follows the guest's XSETBV.
        draft.Derive(Leaf, 0, new CpuidResult((uint)user, LegacySize, size, (uint)(user >> 32)), Reason);
        draft.Derive(Leaf, 1, new CpuidResult(ways.Eax, supervisor || draft.Has("xsavec") ? LegacySize : 0, (uint)system, (uint)(system >> 32)), Reason);
    }

    private static ulong Mask(uint low, uint high) => low | ((ulong)high << 32);
}
