using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Kvm;

/// <summary>CPUID policies over a made-up host, on any machine.</summary>
public sealed class CpuidPolicyTests
{
    /// <summary>A server processor: x86-64-v4 with some that models hide.</summary>
    private static readonly CpuidEntry[] Server =
    [
        new(0, 0, false, new(0x16, 0x756e_6547, 0x6c65_746e, 0x4965_6e69)),
        new(1, 0, false, new(0x0005_0657, 0x0010_0800, 0xf7fa_3203, 0x0f8b_fbff)),
        new(4, 0, true, new(0x1c00_4121, 0x01c0_003f, 0x3f, 0)),
        new(4, 3, true, new(0x1c03_c163, 0x0280_003f, 0xcfff, 4)),
        new(6, 0, false, new(4, 0, 0, 0)),
        new(7, 0, true, new(0, 0xd19f_2fbb, 0x0000_080c, 0xac00_4410)),
        new(0xb, 0, true, default),
        new(0xd, 0, true, new(0x2e7, 0x240, 0xa88, 0)),
        new(0xd, 1, true, new(0xf, 0x240, 0, 0)),
        new(0xd, 2, true, new(0x100, 0x240, 0, 0)),
        new(0xd, 5, true, new(0x40, 0x440, 0, 0)),
        new(0xd, 6, true, new(0x200, 0x480, 0, 0)),
        new(0xd, 7, true, new(0x400, 0x680, 0, 0)),
        new(0xd, 9, true, new(8, 0xa80, 0, 0)),
        new(0x15, 0, false, new(2, 216, 0, 0)),
        new(0x4000_0000, 0, false, new(0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d)),
        new(0x4000_0001, 0, false, new(0x0100_7efb, 0, 0, 0)),
        new(0x8000_0000, 0, false, new(0x8000_0008, 0, 0, 0)),
        new(0x8000_0001, 0, false, new(0, 0, 0x121, 0x2c10_0800)),
        new(0x8000_0008, 0, false, new(0x302e, 0, 0, 0)),
    ];

    /// <summary>A processor that has x86-64-v2 and no AVX.</summary>
    private static readonly CpuidEntry[] Small =
    [
        .. Server.Where(e => e.Leaf is not (1 or 7 or 0xd)),
        new(1, 0, false, new(0x0001_06e5, 0x0010_0800, 0x0098_2201, 0x0f8b_fbff)),
    ];

    [Fact]
    public void Build_HostPassThrough_ChangesOnlyTopologyAndDynamicBits()
    {
        CpuidTable table = CpuidPolicy.Host.Build(Server, 0, 1);
        Assert.All(table.Audit, line => Assert.True(line.Reason is "topology" or "follows from the features" or "APIC ID" or "follows CR4", line.Reason));
        Assert.True(table.Has("avx512f"));
    }

    [Theory, InlineData("x86-64-v1"), InlineData("x86-64-v2"), InlineData("x86-64-v3"), InlineData("virtkit")]
    public void Build_Model_AuditIsAsVerified(string name)
    {
        CpuidTable table = CpuidPolicy.Model(CpuidModel.All.Single(m => m.Name == name)).Build(Server, 1, 2);
        Snapshot.Verify($"{string.Join('\n', table.Entries)}\n\n{table.FormatAudit()}", name);
    }

    [Fact]
    public void Build_FixedModel_IsTheSameOnEveryHost() =>
        Assert.Equal(CpuidPolicy.Fixed.Build(Server, 1, 4).Entries, CpuidPolicy.Fixed.Build([.. Small.Where(e => e.Leaf != 0xb)], 1, 4).Entries);

    [Fact]
    public void Build_ModelThatTheHostLacks_IsRefusedWithEveryReason()
    {
        VirtKitException error = Assert.Throws<VirtKitException>(() => CpuidPolicy.Model(CpuidModel.X64V3).Build(Small, 0, 1));
        foreach (string feature in (ReadOnlySpan<string>)["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"])
            Assert.Contains($"{feature} is not offered by the host", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Build_FeatureWithoutTheOneItNeeds_IsRefused()
    {
        VirtKitException error = Assert.Throws<VirtKitException>(() => CpuidPolicy.Host.Hide("avx").Build(Server, 0, 1));
        Assert.Contains("avx2 needs avx, which is hidden or missing", error.Message, StringComparison.Ordinal);
        CpuidTable table = CpuidPolicy.Host.HideWithDependents("avx").Build(Server, 0, 1);
        Assert.False(table.Has("avx2"));
        Assert.False(table.Has("avx512vl"));
        Assert.Equal(new CpuidResult(0x203, 576, 0xa88, 0), table.Lookup(0xd, 0)); // PKRU stays
        Assert.Equal(default, table.Lookup(0xd, 5));
    }

    [Fact]
    public void Build_Rules_ApplyInOrder()
    {
        CpuidPolicy policy = CpuidPolicy.Host.Hide("cx16").Then(CpuidPolicy.Host.Show("cx16")).Hide("rdrand").HideLeaf(0x15)
            .WithHypervisor(CpuidHypervisor.Kvm(KvmParavirtualFeatures.Default)).Answer(0x4000_0100, null, new CpuidResult(1, 2, 3, 4))
            .Answer(e => e.Leaf == 0x8000_0008 ? e.Answer with { Eax = 0x3027 } : e.Answer);
        CpuidTable table = policy.Build(Server, 0, 1);
        Assert.True(table.Has("cx16"));
        Assert.False(table.Has("rdrand"));
        Assert.Equal(default, table.Lookup(0x15, 0));
        Assert.Equal(new CpuidResult(0x0100_002b, 0, 0, 0), table.Lookup(0x4000_0001, 0));
        Assert.Equal(new CpuidResult(1, 2, 3, 4), table.Lookup(0x4000_0100, 77));
        Assert.Equal(0x3027u, table.Lookup(0x8000_0008, 0).Eax);
        Assert.Contains(table.Audit, l => l is { Feature: "rdrand", Host: 1, Guest: 0, Reason: "hidden by name" });
        Assert.Throws<ArgumentException>(() => CpuidPolicy.Host.Hide("no such feature"));
    }

    [Fact]
    public void Build_Topology_IsInEveryLeaf()
    {
        CpuidTable table = CpuidPolicy.Host.WithTopology(new CpuidTopology(3, 2)).Build(Server, 5, 6);
        Assert.Equal(new CpuidResult(1, 2, 0x100, 5), table.Lookup(0xb, 0));
        Assert.Equal(new CpuidResult(3, 6, 0x201, 5), table.Lookup(0xb, 1));
        Assert.Equal(0x0506_0800u, table.Lookup(1, 0).Ebx);
        Assert.True(table.Has("ht"));
    }

    [Theory]
    [InlineData(1, 0, 0u)]
    [InlineData(2, 1, 1u)]
    [InlineData(4, 2, 3u)]
    [InlineData(6, 3, 7u)]
    public void Build_VcpuCount_IsOnePackageOfSoManyCores(int count, int bits, uint coreIds)
    {
        for (int vcpu = 0; vcpu < count; vcpu++)
        {
            CpuidTable table = CpuidPolicy.Host.Build([.. Server.Where(e => e.Leaf != 0), new(0, 0, false, new(0x1f, 0x756e_6547, 0x6c65_746e, 0x4965_6e69))], vcpu, count);
            foreach (uint leaf in (ReadOnlySpan<uint>)[0xb, 0x1f])
            {
                Assert.Equal(new CpuidResult(0, 1, 0x100, (uint)vcpu), table.Lookup(leaf, 0));
                Assert.Equal(new CpuidResult((uint)bits, (uint)count, 0x201, (uint)vcpu), table.Lookup(leaf, 1));
                Assert.Equal(new CpuidResult(0, 0, 2, (uint)vcpu), table.Lookup(leaf, 2));
            }

            Assert.Equal(((uint)vcpu << 24) | ((uint)count << 16) | 0x800, table.Lookup(1, 0).Ebx);
            Assert.Equal(count > 1, table.Has("ht"));
            // A core's own cache, and the package's.
            Assert.Equal(coreIds << 26 | 0x121, table.Lookup(4, 0).Eax);
            Assert.Equal(coreIds << 26 | coreIds << 14 | 0x163, table.Lookup(4, 3).Eax);
        }
    }

    public static TheoryData<string> Inconsistent => [.. Refusals.Keys];

    [Theory, MemberData(nameof(Inconsistent))]
    public void Build_SetThatCannotBe_IsRefusedWithTheReason(string reason) =>
        Assert.Contains(reason, Assert.Throws<VirtKitException>(() => Refusals[reason].Build(Server, 6, 8)).Message, StringComparison.Ordinal);

    private static Dictionary<string, CpuidPolicy> Refusals => new()
    {
        ["fma needs avx, which is hidden"] = CpuidPolicy.Host.Hide("avx"),
        ["avx needs xsave, which is hidden"] = CpuidPolicy.Model(CpuidModel.X64V3).Hide("xsave"),
        ["lm needs pae, which is hidden"] = CpuidPolicy.Fixed.Hide("pae"),
        ["sha_ni is not offered by the host"] = CpuidPolicy.Host.Show("sha_ni"),
        ["avx2 is in leaf 0x7, and the last that is shown there is 0x1"] = CpuidPolicy.Host.Answer(e => e.Leaf == 0 ? e.Answer with { Eax = 1 } : e.Answer),
        ["lm is in leaf 0x80000001, and the last that is shown there is 0x0"] = CpuidPolicy.Host.HideLeaf(0x8000_0000),
        ["kvmclock is in leaf 0x40000001, and the last that is shown there is 0x40000000"] = CpuidPolicy.Host.WithHypervisor(CpuidHypervisor.VirtKit).Show("kvmclock"),
        ["kvm_steal_time is in leaf 0x40000001, and the last that is shown there is 0x0"] = CpuidPolicy.Host.WithHypervisor(CpuidHypervisor.None).Show("kvm_steal_time"),
        ["0 cores a package and 1 threads a core; 1 to 256 and 1 to 16 are possible"] = CpuidPolicy.Host.WithTopology(new CpuidTopology(0)),
        ["257 cores a package"] = CpuidPolicy.Host.WithTopology(new CpuidTopology(257)),
        ["17 threads a core; 1"] = CpuidPolicy.Host.WithTopology(new CpuidTopology(1, 17)),
        // Six in a package: the numbers of the first end at 5, those of the second begin at 8.
        ["vCPU 6 would be thread 0 of core 3 in a package"] = CpuidPolicy.Host.WithTopology(new CpuidTopology(3, 2)),
        ["vCPU 6 would be thread 6 of core 0 in a package"] = CpuidPolicy.Host.WithTopology(new CpuidTopology(2, 5)),
    };

    [Fact]
    public void Build_MoreThanAnApicIdHolds_NeedsX2Apic()
    {
        Assert.Equal(300u, CpuidPolicy.Host.Build(Server, 300, 301).Lookup(0xb, 0).Edx);
        VirtKitException error = Assert.Throws<VirtKitException>(() => CpuidPolicy.Fixed.Build(Server, 300, 301));
        Assert.Contains("vCPU 300 needs x2apic", error.Message, StringComparison.Ordinal);
    }
}
