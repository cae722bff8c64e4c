using VirtKit.Accel.Kvm;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Kvm;

/// <summary>Everything that follows from a policy agrees with it: on processors of AMD and Intel, with each feature hidden, for 1 to 64 vCPUs.</summary>
public sealed class CpuidDerivationTests
{
    private const uint RepeatedBits = 0x0183_f3ff;

    /// <summary>Leaves of AMD and Intel that describe one feature.</summary>
    private static readonly (uint Leaf, string Feature)[] FeatureLeaves =
    [
        (0xd, "xsave"), (0xf, "pqm"), (0x10, "rdt_a"), (0x12, "sgx"), (0x14, "intel_pt"), (0x19, "aeskle"), (0x1b, "pconfig"), (0x1c, "arch_lbr"), (0x1d, "amx_tile"), (0x1e, "amx_tile"),
        (0x8000_000a, "svm"), (0x8000_001b, "ibs"), (0x8000_001d, "topoext"), (0x8000_001e, "topoext"), (0x8000_0022, "perfctr_core"),
    ];

    /// <summary>Components of the XSAVE area, those of IA32_XSS included, and one feature of each that is enough for it.</summary>
    private static readonly (int Component, string[] Features)[] Components =
    [
        (2, ["avx"]), (3, ["mpx"]), (4, ["mpx"]), (5, ["avx512f"]), (6, ["avx512f"]), (7, ["avx512f"]), (8, ["intel_pt"]), (9, ["pku"]), (11, ["shstk", "ibt"]), (12, ["shstk", "ibt"]),
        (14, ["uintr"]), (15, ["arch_lbr"]), (17, ["amx_tile"]), (18, ["amx_tile"]),
    ];

    public static TheoryData<string> Hosts => [.. CpuidHost.Names];

    [Theory, MemberData(nameof(Hosts))]
    public void Build_EachFeatureHidden_EverythingThatFollowsAgrees(string name)
    {
        CpuidEntry[] host = CpuidHost.Read(name);
        CpuidTable whole = CpuidPolicy.Host.Build(host, 2, 4);
        Check(whole, host, 2, new CpuidTopology(4));
        int hidden = 0;
        foreach (CpuidFeature feature in CpuidFeature.All.Where(f => whole.Has(f.Name)))
        {
            CpuidTable table = CpuidPolicy.Host.HideWithDependents(feature.Name).Build(host, 2, 4);
            Assert.False(table.Has(feature.Name), feature.Name);
            Check(table, host, 2, new CpuidTopology(4));
            // One that others need is not hidden alone.
            if (CpuidFeature.All.Any(f => whole.Has(f.Name) && f.Needed.Contains(feature.Name)))
                Assert.Contains($"needs {feature.Name}, which is hidden", Assert.Throws<VirtKitException>(() => CpuidPolicy.Host.Hide(feature.Name).Build(host, 2, 4)).Message, StringComparison.Ordinal);
            hidden++;
        }

        Assert.True(hidden > 40, $"{hidden} features");
    }

    [Theory, MemberData(nameof(Hosts))]
    public void Build_OneTo64Vcpus_EveryLeafNamesTheSamePlace(string name)
    {
        CpuidEntry[] host = CpuidHost.Read(name);
        for (int count = 1; count <= 64; count++)
        {
            foreach (int vcpu in new[] { 0, count / 2, count - 1 }.Distinct())
            {
                Check(CpuidPolicy.Host.Build(host, vcpu, count), host, vcpu, new CpuidTopology(count));
                if (count > 4 && !int.IsPow2(count))
                    continue;
                foreach (CpuidTopology topology in (ReadOnlySpan<CpuidTopology>)[new(1), new(4), new(8, 2), new(64, 4), new(16, 2), new(1, 2)])
                    Check(CpuidPolicy.Host.WithTopology(topology).Build(host, vcpu, count), host, vcpu, topology);
            }
        }
    }

    [Theory, MemberData(nameof(Hosts))]
    public void Build_EachModelThatTheHostCarries_EverythingThatFollowsAgrees(string name)
    {
        CpuidEntry[] host = CpuidHost.Read(name);
        var carried = new List<string>();
        foreach (CpuidModel model in CpuidModel.All)
        {
            try
            {
                Check(CpuidPolicy.Model(model).Build(host, 5, 8), host, 5, new CpuidTopology(8));
                carried.Add(model.Name);
            }
            catch (VirtKitException e)
            {
                Assert.Contains("is not offered by the host", e.Message, StringComparison.Ordinal);
            }
        }

        if (name.StartsWith("amd", StringComparison.Ordinal))
            Assert.True(CpuidPolicy.Host.Build(host, 1, 2).Has("cmp_legacy"));
        Assert.Equal(name == "amd-zen3-nested" ? ["x86-64-v1", "virtkit"] : CpuidModel.All.Select(m => m.Name), carried);
    }

    /// <summary>Linux lists AMX to every process, and its part of the XSAVE area only to one that asked for it.</summary>
    [Fact]
    public void Build_HostFeatureWithoutItsPartOfTheXsaveArea_IsHiddenWithItsDependents()
    {
        CpuidEntry[] host = [.. CpuidHost.Read("intel-sapphire-rapids").Select(e => (e.Leaf, e.Subleaf) switch
        {
            (0xd, 0) => e with { Answer = new CpuidResult(0x2e7, 0xa88, 0xa88, 0) },
            (0xd, 0x11 or 0x12) => e with { Answer = default },
            _ => e,
        })];
        CpuidTable table = CpuidPolicy.Host.Build(host, 0, 1);
        Assert.All((string[])["amx_tile", "amx_bf16", "amx_int8"], feature => Assert.False(table.Has(feature), feature));
        Assert.True(table.Has("avx512_fp16"));
        Check(table, host, 0, new CpuidTopology(1));
        Assert.Contains(table.Audit, line => line is { Feature: "amx_tile", Reason: "the host offers it without what it needs" });
        Assert.Contains("amx_tile needs component 17", Assert.Throws<VirtKitException>(() => CpuidPolicy.Host.Show("amx_tile").Build(host, 0, 1)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Build_RowsOfTheHostApplication_AreNotDerived()
    {
        CpuidEntry[] host = CpuidHost.Read("amd-zen4");
        CpuidResult own = new(1, 2, 3, 4);
        CpuidTable table = CpuidPolicy.Host.Hide("xsaves").Answer(0x8000_001e, null, own).Answer(e => e is { Leaf: 0xb, Subleaf: 1 } or { Leaf: 0xd, Subleaf: 5 } ? own : e.Answer).HideLeaf(0x8000_0026)
            .WithTopology(new CpuidTopology(2, 2)).Build(host, 1, 4);
        Assert.Equal((own, own, own), (table.Lookup(0x8000_001e, 0), table.Lookup(0xb, 1), table.Lookup(0xd, 5)));
        Assert.Equal(default, table.Lookup(0x8000_0026, 0));
        Assert.Contains("topoext needs leaf 0x8000001e, which is hidden", Assert.Throws<VirtKitException>(() => CpuidPolicy.Host.HideLeaf(0x8000_001e).Build(host, 0, 1)).Message, StringComparison.Ordinal);
        Assert.Contains("xsave needs leaf 0xd, which is hidden", Assert.Throws<VirtKitException>(() => CpuidPolicy.Host.HideLeaf(0xd).Build(host, 0, 1)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Build_LeavesBehindTheLast_AreGone()
    {
        CpuidTable table = CpuidPolicy.Host.HideWithDependents("xsave").Answer(e => e.Leaf == 0 ? e.Answer with { Eax = 0xc } : e.Answer).Build(CpuidHost.Read("intel-sapphire-rapids"), 0, 1);
        Assert.DoesNotContain(table.Entries, e => e.Leaf is > 0xc and < 0x4000_0000);
    }

    /// <summary>This host's own table, whatever it is, and what the kernel made of it.</summary>
    [Theory, InlineData(KvmInterruptController.Kernel), InlineData(KvmInterruptController.External)]
    public void Cpuid_OnThisHost_EverythingThatFollowsAgrees(KvmInterruptController controller)
    {
        Require.Kvm();
        var options = new KvmOptions { InterruptController = controller };
        CpuidEntry[] host = [.. new KvmEngine(options).ReadHostCpuid()];
        for (int count = 1; count <= 8; count++)
            Check(CpuidPolicy.Host.Build(host, count - 1, count), host, count - 1, new CpuidTopology(count));
        using var guest = new X64Guest(options: options, vcpuCount: 3);
        for (int vcpu = 0; vcpu < 3; vcpu++)
        {
            CpuidTable table = ((KvmPartition)guest.Machine.Partition).Cpuid[vcpu];
            CheckTopology(table, vcpu, new CpuidTopology(3));
        }
    }

    private static void Check(CpuidTable table, CpuidEntry[] host, int vcpu, CpuidTopology topology)
    {
        foreach (CpuidFeature feature in CpuidFeature.All.Where(f => table.Has(f.Name)))
            Assert.All(feature.Needed, needed => Assert.True(table.Has(needed), $"{feature.Name} without {needed}"));
        foreach ((uint leaf, string feature) in FeatureLeaves)
        {
            bool isThere = table.Entries.Any(e => e.Leaf == leaf && e.Answer != default), onHost = host.Any(e => e.Leaf == leaf && e.Answer != default);
            // The first thread's place in a machine of one is all zeros, and the host's own is of no account.
            Assert.True(leaf == 0x8000_001e ? !isThere || table.Has(feature) : isThere == (table.Has(feature) && onHost), $"leaf {leaf:x} and {feature}");
        }

        CheckXsave(table);
        CheckTopology(table, vcpu, topology);
        bool amd = table.Lookup(0, 0).Ebx == 0x6874_7541;
        Assert.Equal(amd ? table.Lookup(1, 0).Edx & RepeatedBits : 0, table.Lookup(0x8000_0001, 0).Edx & RepeatedBits);
        Assert.Equal(table.Entries.Where(e => e.Leaf == 7 && e.Answer != default).Select(e => e.Subleaf).DefaultIfEmpty().Max(), table.Lookup(7, 0).Eax);
        Assert.All(table.Entries.Where(e => e.Leaf is < 0x4000_0000 or >= 0x8000_0000), e => Assert.True(e.Leaf <= Math.Max(table.Lookup(e.Leaf & 0x8000_0000, 0).Eax, e.Leaf & 0x8000_0000), $"{e}"));
        Assert.Equal(table.Has("hypervisor"), table.Lookup(0x4000_0000, 0).Ebx != 0 && table.Entries.Any(e => e.Leaf == 0x4000_0000));
        uint linear = table.Lookup(0x8000_0008, 0).Eax >> 8 & 0xff;
        Assert.True(linear <= (table.Has("la57") ? 57 : table.Has("lm") ? 48 : 32), $"{linear} bits of linear addresses");
    }

    private static void CheckXsave(CpuidTable table)
    {
        CpuidResult main = Row(table, 0xd, 0), ways = Row(table, 0xd, 1);
        ulong user = main.Eax | ((ulong)main.Edx << 32), system = ways.Ecx | ((ulong)ways.Edx << 32), known = 3;
        if (!table.Has("xsave"))
        {
            Assert.Equal((0ul, 0ul), (user, system));
            return;
        }

        uint size = 576;
        foreach ((int component, string[] features) in Components)
        {
            CpuidResult room = Row(table, 0xd, (uint)component);
            bool isUser = (user >> component & 1) != 0, isSystem = (system >> component & 1) != 0;
            Assert.True(!(isUser || isSystem) || features.Any(table.Has), $"component {component} without {features[0]}");
            Assert.True(!isSystem || table.Has("xsaves"));
            Assert.Equal(isUser || isSystem, room.Eax != 0);
            Assert.Equal(isSystem, (room.Ecx & 1) != 0);
            Assert.True((room.Ecx & 4) == 0 || table.Has("xfd"));
            // XCR0 takes what a feature needs; the processor may have no supervisor state for it.
            if (component is 2 or 5 or 6 or 7 or 9 or 17 or 18)
                Assert.Equal(table.Has(features[0]), isUser);
            size = isUser ? Math.Max(size, room.Eax + room.Ebx) : size;
            known |= 1ul << component;
        }

        Assert.Equal((0ul, 3ul), ((user | system) & ~known, user & 3));
        Assert.Equal((576u, size), (main.Ebx, main.Ecx));
        Assert.Equal(table.Has("xsavec") || table.Has("xsaves") ? 576u : 0, ways.Ebx);
    }

    /// <summary>Finds thread, core and package as an operating system does, in each of the leaves that tell them.</summary>
    private static void CheckTopology(CpuidTable table, int vcpu, CpuidTopology topology)
    {
        uint id = (uint)vcpu;
        int threads = topology.CoresPerPackage * topology.ThreadsPerCore, threadBits = Bits(topology.ThreadsPerCore), packageBits = threadBits + Bits(topology.CoresPerPackage);
        Assert.Equal((id, (uint)Math.Min(threads, 255)), (table.Lookup(1, 0).Ebx >> 24, table.Lookup(1, 0).Ebx >> 16 & 0xff));
        bool amd = table.Lookup(0, 0).Ebx == 0x6874_7541;
        foreach ((uint leaf, bool isThere) in (ReadOnlySpan<(uint, bool)>)[(0xb, table.Lookup(0, 0).Eax >= 0xb), (0x1f, table.Lookup(0, 0).Eax >= 0x1f), (0x8000_0026, amd && table.Lookup(0x8000_0000, 0).Eax >= 0x8000_0026)])
        {
            if (!isThere)
                continue;
            CpuidResult core = table.Lookup(leaf, 0), package = table.Lookup(leaf, 1);
            Assert.Equal(((uint)threadBits, (uint)topology.ThreadsPerCore, id), (core.Eax, core.Ebx, core.Edx));
            Assert.Equal(((uint)packageBits, (uint)threads, id), (package.Eax, package.Ebx, package.Edx));
            Assert.Equal(0u, table.Lookup(leaf, 2).Ecx >> 8 & 0xff);
            Assert.Equal(0u, table.Lookup(leaf, 3).Ebx);
        }

        uint count = table.Lookup(0x8000_0008, 0).Ecx;
        if (amd)
            Assert.Equal(((uint)threads - 1, (uint)packageBits), (count & 0xff, count >> 12 & 15));
        else
            Assert.Equal(0u, count);
        Assert.True(!table.Has("cmp_legacy") || (amd && threads > 1));
        if (table.Has("topoext"))
        {
            CpuidResult place = table.Lookup(0x8000_001e, 0);
            uint core = (id & ((1u << packageBits) - 1)) >> threadBits;
            Assert.Equal((id, core | ((uint)topology.ThreadsPerCore - 1) << 8, id >> packageBits), (place.Eax, place.Ebx, place.Ecx));
        }

        foreach (CpuidEntry cache in table.Entries.Where(e => e.Leaf is 4 or 0x8000_001d && (e.Answer.Eax & 0x1f) != 0))
        {
            bool shared = (cache.Answer.Eax >> 5 & 7) == 3;
            uint sharing = cache.Answer.Eax >> 14 & 0xfff;
            if (cache.Leaf == 4)
                Assert.Equal((shared ? packageBits : threadBits, packageBits - threadBits), (Bits((int)sharing + 1), Bits((int)(cache.Answer.Eax >> 26) + 1)));
            else
                Assert.Equal((uint)(shared ? threads : topology.ThreadsPerCore) - 1, sharing);
        }
    }

    /// <summary>A row, without what a processor answers behind its last leaf.</summary>
    private static CpuidResult Row(CpuidTable table, uint leaf, uint subleaf) => table.Entries.SingleOrDefault(e => e.Leaf == leaf && e.Subleaf == subleaf).Answer;

    /// <summary>How many bits it takes to number so many.</summary>
    private static int Bits(int count)
    {
        int bits = 0;
        while (1 << bits < count)
            bits++;
        return bits;
    }
}
