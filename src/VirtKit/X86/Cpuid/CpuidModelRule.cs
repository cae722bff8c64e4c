using System.Buffers.Binary;
using System.Text;

namespace VirtKit.X86;

/// <summary>Reduces a draft to a model.</summary>
internal static class CpuidModelRule
{
    /// <summary>Leaves whose numbers (vendor, family, caches, topology, XSAVE layout, brand, address sizes) a model takes from the host.</summary>
    private static bool IsKept(uint leaf) => leaf is 0 or 1 or 2 or 4 or 6 or 7 or 0xb or 0xd or 0x1f or (>= 0x8000_0000 and <= 0x8000_0008) || CpuidHypervisor.IsLeaf(leaf);

    public static void Apply(CpuidDraft draft, CpuidModel model)
    {
        string reason = $"not in {model.Name}";
        foreach (CpuidEntry entry in draft.Entries.Where(e => !IsKept(e.Leaf)).ToArray())
            draft.RemoveLeaves(entry.Leaf, entry.Leaf, reason);
        var promised = model.Required.ToHashSet();
        var passed = model.Optional.ToHashSet();
        // The hypervisor's leaves are no part of a processor model.
        foreach (CpuidEntry entry in draft.Entries.Where(e => !CpuidHypervisor.IsLeaf(e.Leaf)).ToArray())
        {
            foreach (CpuidRegister register in Enum.GetValues<CpuidRegister>())
            {
                if (!CpuidFeature.IsFeatureRegister(entry.Leaf, entry.Subleaf, register) && !(entry is { Leaf: 7 } && (entry.Subleaf, register) != (0, CpuidRegister.Eax)))
                    continue;
                uint kept = 0;
                foreach (CpuidFeature f in CpuidFeature.All.Where(f => f.Leaf == entry.Leaf && f.Subleaf == entry.Subleaf && f.Register == register))
                    kept |= promised.Contains(f.Name) || passed.Contains(f.Name) ? 1u << f.Bit : 0;
                draft.SetRegister(entry.Leaf, entry.Subleaf, register, entry.Answer[register] & kept, reason);
            }
        }

        foreach (string name in model.Required)
            draft.SetFeature(name, true, $"promised by {model.Name}");
    }

    /// <summary>Every number of this table is ours: nothing of the host shows.</summary>
    public static void ApplyFixed(CpuidDraft draft)
    {
        const string reason = "fixed by virtkit";
        uint apicAndCount = draft[1, 0].Ebx & 0xffff_0000;
        draft.RemoveLeaves(0, uint.MaxValue, reason);
        draft.SetEntry(0, null, new CpuidResult(0xb, 0x756e_6547, 0x6c65_746e, 0x4965_6e69), reason); // GenuineIntel
        draft.SetEntry(1, null, new CpuidResult(0x0000_0f61, apicAndCount | 0x0800, 0, 0), reason); // family 15, model 6; cache lines of 64 bytes
        draft.Topology.Apply(draft);
        Span<byte> brand = stackalloc byte[48];
        Encoding.ASCII.GetBytes("VirtKit virtual processor", brand);
        draft.SetEntry(0x8000_0000, null, new CpuidResult(0x8000_0008, 0, 0, 0), reason);
        draft.SetEntry(0x8000_0001, null, default, reason);
        for (int i = 0; i < 3; i++)
        {
            ReadOnlySpan<byte> part = brand.Slice(i * 16, 16);
            draft.SetEntry(0x8000_0002 + (uint)i, null, new CpuidResult(BinaryPrimitives.ReadUInt32LittleEndian(part), BinaryPrimitives.ReadUInt32LittleEndian(part[4..]),
                BinaryPrimitives.ReadUInt32LittleEndian(part[8..]), BinaryPrimitives.ReadUInt32LittleEndian(part[12..])), reason);
        }

        draft.SetEntry(0x8000_0008, null, new CpuidResult(0x3027, 0, 0, 0), reason); // 39 physical, 48 linear address bits
        foreach (string name in CpuidModel.VirtKit.Required)
            draft.SetFeature(name, true, "promised by virtkit");
        CpuidHypervisor.VirtKit.Apply(draft);
    }
}
