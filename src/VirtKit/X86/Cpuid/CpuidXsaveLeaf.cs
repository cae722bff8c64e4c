namespace VirtKit.X86;

/// <summary>Leaf 0xD, which follows from the features: the components of XCR0, and how much room they take (SDM 1 §13.2).</summary>
internal static class CpuidXsaveLeaf
{
    private const uint Leaf = 0xd;

    /// <summary>The extended components and the feature that each belongs to.</summary>
    private static readonly (int Component, string Feature)[] Components =
        [(2, "avx"), (3, "mpx"), (4, "mpx"), (5, "avx512f"), (6, "avx512f"), (7, "avx512f"), (9, "pku"), (17, "amx_tile"), (18, "amx_tile")];

    public static void Derive(CpuidDraft draft)
    {
        const string reason = "follows from the features";
        if (!IsOn(draft, "xsave"))
        {
            draft.RemoveLeaves(Leaf, Leaf, reason);
            return;
        }

        ulong mask = 3;
        foreach ((int component, string feature) in Components)
        {
            if (IsOn(draft, feature))
                mask |= 1UL << component;
        }

        CpuidResult main = draft[Leaf, 0];
        ulong components = (main.Eax | ((ulong)main.Edx << 32)) & mask;
        uint size = 576;
        foreach (CpuidEntry entry in draft.Entries.Where(e => e.Leaf == Leaf && e.Subleaf is >= 2 and < 64).ToArray())
        {
            bool supervisor = (entry.Answer.Ecx & 1) != 0;
            if (supervisor ? !IsOn(draft, "xsaves") : ((components >> (int)entry.Subleaf) & 1) == 0)
                draft.SetEntry(Leaf, entry.Subleaf, default, reason);
            else if (!supervisor)
                size = Math.Max(size, entry.Answer.Eax + entry.Answer.Ebx);
        }

        // EBX is the room for what XCR0 enables now; at reset that is x87 alone, and the engine follows the guest's XSETBV.
        draft.SetEntry(Leaf, 0, new CpuidResult((uint)components, 576, size, (uint)(components >> 32)), reason);
        CpuidResult ways = draft[Leaf, 1];
        if (!IsOn(draft, "xsaves"))
            draft.SetEntry(Leaf, 1, new CpuidResult(ways.Eax, 0, 0, 0), reason);
    }

    private static bool IsOn(CpuidDraft draft, string name)
    {
        CpuidFeature f = CpuidFeature.Named(name);
        return ((draft[f.Leaf, f.Subleaf][f.Register] >> f.Bit) & 1) != 0;
    }
}
