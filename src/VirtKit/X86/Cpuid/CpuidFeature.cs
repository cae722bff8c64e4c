using System.Collections.Frozen;

namespace VirtKit.X86;

/// <summary>A feature that CPUID reports in one bit (SDM 2A, CPUID; APM 3, appendix E).</summary>
/// <param name="Name">The short name, lower case, mostly as Linux shows it in <c>/proc/cpuinfo</c>.</param>
/// <param name="Leaf">The leaf.</param>
/// <param name="Subleaf">The subleaf.</param>
/// <param name="Register">The register.</param>
/// <param name="Bit">The bit, 0 to 31.</param>
/// <param name="Needs">The names of the features without which it makes no sense, separated by spaces.</param>
public sealed record CpuidFeature(string Name, uint Leaf, uint Subleaf, CpuidRegister Register, int Bit, string Needs = "")
{
    private const CpuidRegister A = CpuidRegister.Eax, B = CpuidRegister.Ebx, C = CpuidRegister.Ecx, D = CpuidRegister.Edx;

    /// <summary>All features known by name, in order of leaf, register and bit.</summary>
    public static IReadOnlyList<CpuidFeature> All { get; } =
    [
        new("sse3", 1, 0, C, 0, "sse2"), new("pclmulqdq", 1, 0, C, 1, "sse2"), new("dtes64", 1, 0, C, 2, "ds"), new("monitor", 1, 0, C, 3), new("ds_cpl", 1, 0, C, 4, "ds"),
        new("vmx", 1, 0, C, 5, "msr"), new("smx", 1, 0, C, 6, "vmx"), new("est", 1, 0, C, 7), new("tm2", 1, 0, C, 8), new("ssse3", 1, 0, C, 9, "sse3"), new("cid", 1, 0, C, 10),
        new("sdbg", 1, 0, C, 11), new("fma", 1, 0, C, 12, "avx"), new("cx16", 1, 0, C, 13, "cx8 lm"), new("xtpr", 1, 0, C, 14), new("pdcm", 1, 0, C, 15, "msr"),
        new("pcid", 1, 0, C, 17, "lm"), new("dca", 1, 0, C, 18), new("sse4_1", 1, 0, C, 19, "ssse3"), new("sse4_2", 1, 0, C, 20, "sse4_1"),
        new("x2apic", 1, 0, C, 21, "apic msr"), new("movbe", 1, 0, C, 22), new("popcnt", 1, 0, C, 23), new("tsc_deadline", 1, 0, C, 24, "apic tsc msr"),
        new("aes", 1, 0, C, 25, "sse2"), new("xsave", 1, 0, C, 26, "fxsr"), new("osxsave", 1, 0, C, 27, "xsave"), new("avx", 1, 0, C, 28, "xsave sse4_2"),
        new("f16c", 1, 0, C, 29, "avx"), new("rdrand", 1, 0, C, 30), new("hypervisor", 1, 0, C, 31),
        new("fpu", 1, 0, D, 0), new("vme", 1, 0, D, 1), new("de", 1, 0, D, 2), new("pse", 1, 0, D, 3), new("tsc", 1, 0, D, 4), new("msr", 1, 0, D, 5),
        new("pae", 1, 0, D, 6), new("mce", 1, 0, D, 7), new("cx8", 1, 0, D, 8), new("apic", 1, 0, D, 9), new("sep", 1, 0, D, 11), new("mtrr", 1, 0, D, 12, "msr"),
        new("pge", 1, 0, D, 13), new("mca", 1, 0, D, 14, "mce"), new("cmov", 1, 0, D, 15), new("pat", 1, 0, D, 16), new("pse36", 1, 0, D, 17, "pse"), new("pn", 1, 0, D, 18),
        new("clflush", 1, 0, D, 19), new("ds", 1, 0, D, 21), new("acpi", 1, 0, D, 22), new("mmx", 1, 0, D, 23, "fpu"), new("fxsr", 1, 0, D, 24, "fpu"),
        new("sse", 1, 0, D, 25, "fxsr"), new("sse2", 1, 0, D, 26, "sse"), new("ss", 1, 0, D, 27), new("ht", 1, 0, D, 28), new("tm", 1, 0, D, 29), new("pbe", 1, 0, D, 31),
        new("arat", 6, 0, A, 2, "apic"),
        new("fsgsbase", 7, 0, B, 0, "lm"), new("tsc_adjust", 7, 0, B, 1, "tsc msr"), new("sgx", 7, 0, B, 2), new("bmi1", 7, 0, B, 3), new("hle", 7, 0, B, 4),
        new("avx2", 7, 0, B, 5, "avx"), new("smep", 7, 0, B, 7), new("bmi2", 7, 0, B, 8), new("erms", 7, 0, B, 9), new("invpcid", 7, 0, B, 10, "pcid"),
        new("rtm", 7, 0, B, 11), new("pqm", 7, 0, B, 12), new("mpx", 7, 0, B, 14, "xsave"), new("rdt_a", 7, 0, B, 15), new("avx512f", 7, 0, B, 16, "avx2"), new("avx512dq", 7, 0, B, 17, "avx512f"),
        new("rdseed", 7, 0, B, 18), new("adx", 7, 0, B, 19), new("smap", 7, 0, B, 20), new("avx512ifma", 7, 0, B, 21, "avx512f"), new("clflushopt", 7, 0, B, 23, "clflush"),
        new("clwb", 7, 0, B, 24, "clflush"), new("intel_pt", 7, 0, B, 25), new("avx512pf", 7, 0, B, 26, "avx512f"), new("avx512er", 7, 0, B, 27, "avx512f"), new("avx512cd", 7, 0, B, 28, "avx512f"), new("sha_ni", 7, 0, B, 29, "sse2"),
        new("avx512bw", 7, 0, B, 30, "avx512f"), new("avx512vl", 7, 0, B, 31, "avx512f"),
        new("prefetchwt1", 7, 0, C, 0), new("avx512vbmi", 7, 0, C, 1, "avx512bw"), new("umip", 7, 0, C, 2), new("pku", 7, 0, C, 3, "xsave"), new("ospke", 7, 0, C, 4, "pku"),
        new("waitpkg", 7, 0, C, 5), new("avx512_vbmi2", 7, 0, C, 6, "avx512bw"), new("shstk", 7, 0, C, 7, "xsave"), new("gfni", 7, 0, C, 8, "sse2"),
        new("vaes", 7, 0, C, 9, "avx aes"), new("vpclmulqdq", 7, 0, C, 10, "avx pclmulqdq"), new("avx512_vnni", 7, 0, C, 11, "avx512f"),
        new("avx512_bitalg", 7, 0, C, 12, "avx512bw"), new("avx512_vpopcntdq", 7, 0, C, 14, "avx512f"), new("la57", 7, 0, C, 16, "lm"), new("rdpid", 7, 0, C, 22), new("aeskle", 7, 0, C, 23, "sse2"),
        new("bus_lock_detect", 7, 0, C, 24), new("cldemote", 7, 0, C, 25), new("movdiri", 7, 0, C, 27), new("movdir64b", 7, 0, C, 28),
        new("enqcmd", 7, 0, C, 29, "xsaves"), new("sgx_lc", 7, 0, C, 30, "sgx"), new("pks", 7, 0, C, 31, "lm"),
        new("avx512_4vnniw", 7, 0, D, 2, "avx512f"), new("avx512_4fmaps", 7, 0, D, 3, "avx512f"), new("uintr", 7, 0, D, 5, "xsaves lm"),
        new("fsrm", 7, 0, D, 4), new("avx512_vp2intersect", 7, 0, D, 8, "avx512f"), new("md_clear", 7, 0, D, 10), new("serialize", 7, 0, D, 14), new("hybrid_cpu", 7, 0, D, 15),
        new("tsxldtrk", 7, 0, D, 16, "rtm"), new("pconfig", 7, 0, D, 18), new("arch_lbr", 7, 0, D, 19, "msr"), new("ibt", 7, 0, D, 20), new("amx_bf16", 7, 0, D, 22, "amx_tile"), new("avx512_fp16", 7, 0, D, 23, "avx512bw avx512vl"),
        new("amx_tile", 7, 0, D, 24, "xsave"), new("amx_int8", 7, 0, D, 25, "amx_tile"), new("spec_ctrl", 7, 0, D, 26, "msr"), new("stibp", 7, 0, D, 27), new("flush_l1d", 7, 0, D, 28),
        new("arch_capabilities", 7, 0, D, 29, "msr"), new("core_capabilities", 7, 0, D, 30, "msr"), new("ssbd", 7, 0, D, 31),
        new("sha512", 7, 1, A, 0, "avx2"), new("sm3", 7, 1, A, 1, "avx"), new("sm4", 7, 1, A, 2, "avx"), new("avx_vnni", 7, 1, A, 4, "avx2"), new("avx512_bf16", 7, 1, A, 5, "avx512bw"),
        new("lass", 7, 1, A, 6, "lm"), new("cmpccxadd", 7, 1, A, 7, "lm"), new("arch_perfmon_ext", 7, 1, A, 8), new("fzrm", 7, 1, A, 10), new("fsrs", 7, 1, A, 11), new("fsrc", 7, 1, A, 12), new("fred", 7, 1, A, 17, "lkgs"),
        new("lkgs", 7, 1, A, 18, "lm"), new("wrmsrns", 7, 1, A, 19, "msr"), new("amx_fp16", 7, 1, A, 21, "amx_tile"), new("hreset", 7, 1, A, 22), new("avx_ifma", 7, 1, A, 23, "avx2"), new("lam", 7, 1, A, 26, "lm"),
        new("avx_vnni_int8", 7, 1, D, 4, "avx2"), new("avx_ne_convert", 7, 1, D, 5, "avx2"), new("amx_complex", 7, 1, D, 8, "amx_tile"), new("avx_vnni_int16", 7, 1, D, 10, "avx2"),
        new("prefetchi", 7, 1, D, 14, "lm"), new("avx10", 7, 1, D, 19, "avx512f"), new("apx_f", 7, 1, D, 21, "xsave lm"),
        new("xsaveopt", 0xd, 1, A, 0, "xsave"), new("xsavec", 0xd, 1, A, 1, "xsave"), new("xgetbv1", 0xd, 1, A, 2, "xsave"), new("xsaves", 0xd, 1, A, 3, "xsavec"),
        new("xfd", 0xd, 1, A, 4, "xsave"),
        new("kvmclock", 0x4000_0001, 0, A, 0), new("kvm_nopiodelay", 0x4000_0001, 0, A, 1), new("kvmclock2", 0x4000_0001, 0, A, 3), new("kvm_async_pf", 0x4000_0001, 0, A, 4),
        new("kvm_steal_time", 0x4000_0001, 0, A, 5), new("kvm_pv_eoi", 0x4000_0001, 0, A, 6), new("kvm_pv_unhalt", 0x4000_0001, 0, A, 7),
        new("kvm_pv_tlb_flush", 0x4000_0001, 0, A, 9), new("kvm_async_pf_vmexit", 0x4000_0001, 0, A, 10), new("kvm_pv_ipi", 0x4000_0001, 0, A, 11),
        new("kvm_poll_control", 0x4000_0001, 0, A, 12), new("kvm_pv_sched_yield", 0x4000_0001, 0, A, 13), new("kvm_async_pf_int", 0x4000_0001, 0, A, 14),
        new("kvm_msi_ext_dest_id", 0x4000_0001, 0, A, 15), new("kvm_hc_map_gpa_range", 0x4000_0001, 0, A, 16), new("kvm_migration_control", 0x4000_0001, 0, A, 17),
        new("kvmclock_stable", 0x4000_0001, 0, A, 24),
        new("lahf_lm", 0x8000_0001, 0, C, 0, "lm"), new("cmp_legacy", 0x8000_0001, 0, C, 1), new("svm", 0x8000_0001, 0, C, 2, "msr"), new("extapic", 0x8000_0001, 0, C, 3),
        new("cr8_legacy", 0x8000_0001, 0, C, 4, "apic"), new("lzcnt", 0x8000_0001, 0, C, 5), new("sse4a", 0x8000_0001, 0, C, 6, "sse3"), new("misalignsse", 0x8000_0001, 0, C, 7, "sse"),
        new("3dnowprefetch", 0x8000_0001, 0, C, 8), new("osvw", 0x8000_0001, 0, C, 9), new("ibs", 0x8000_0001, 0, C, 10, "msr"), new("xop", 0x8000_0001, 0, C, 11, "avx"),
        new("skinit", 0x8000_0001, 0, C, 12), new("wdt", 0x8000_0001, 0, C, 13), new("lwp", 0x8000_0001, 0, C, 15, "xsave"), new("fma4", 0x8000_0001, 0, C, 16, "avx"), new("tbm", 0x8000_0001, 0, C, 21),
        new("topoext", 0x8000_0001, 0, C, 22), new("perfctr_core", 0x8000_0001, 0, C, 23, "msr"), new("perfctr_nb", 0x8000_0001, 0, C, 24, "msr"), new("bpext", 0x8000_0001, 0, C, 26),
        new("perfctr_llc", 0x8000_0001, 0, C, 28, "msr"), new("mwaitx", 0x8000_0001, 0, C, 29),
        new("syscall", 0x8000_0001, 0, D, 11, "msr"), new("nx", 0x8000_0001, 0, D, 20, "pae msr"), new("mmxext", 0x8000_0001, 0, D, 22, "mmx"), new("fxsr_opt", 0x8000_0001, 0, D, 25, "fxsr"),
        new("pdpe1gb", 0x8000_0001, 0, D, 26, "lm"), new("rdtscp", 0x8000_0001, 0, D, 27, "tsc"), new("lm", 0x8000_0001, 0, D, 29, "pae msr"),
        new("3dnowext", 0x8000_0001, 0, D, 30, "3dnow"), new("3dnow", 0x8000_0001, 0, D, 31, "mmx"),
        new("constant_tsc", 0x8000_0007, 0, D, 8, "tsc"),
        new("clzero", 0x8000_0008, 0, B, 0), new("irperf", 0x8000_0008, 0, B, 1), new("xsaveerptr", 0x8000_0008, 0, B, 2, "fxsr"), new("rdpru", 0x8000_0008, 0, B, 4),
        new("wbnoinvd", 0x8000_0008, 0, B, 9), new("ibpb", 0x8000_0008, 0, B, 12, "msr"), new("ibrs", 0x8000_0008, 0, B, 14, "msr"), new("amd_stibp", 0x8000_0008, 0, B, 15, "msr"),
        new("stibp_always_on", 0x8000_0008, 0, B, 17), new("amd_ssbd", 0x8000_0008, 0, B, 24, "msr"), new("virt_ssbd", 0x8000_0008, 0, B, 25, "msr"), new("amd_ssb_no", 0x8000_0008, 0, B, 26),
        new("amd_psfd", 0x8000_0008, 0, B, 28, "msr"), new("btc_no", 0x8000_0008, 0, B, 29), new("ibpb_ret", 0x8000_0008, 0, B, 30, "ibpb"),
    ];

    private static readonly FrozenDictionary<string, CpuidFeature> ByName = All.ToFrozenDictionary(f => f.Name);
    private static readonly FrozenSet<(uint, uint, CpuidRegister)> FeatureRegisters = All.Select(f => (f.Leaf, f.Subleaf, f.Register)).ToFrozenSet();
    private static readonly FrozenDictionary<(uint, uint, CpuidRegister, int), CpuidFeature> ByBit = All.ToFrozenDictionary(f => (f.Leaf, f.Subleaf, f.Register, f.Bit));

    /// <summary>The features of <see cref="Needs"/>.</summary>
    internal IEnumerable<string> Needed => Needs.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Whether a register of a leaf is a set of features, rather than numbers.</summary>
    internal static bool IsFeatureRegister(uint leaf, uint subleaf, CpuidRegister register) => FeatureRegisters.Contains((leaf, subleaf, register));

    /// <summary>The feature in a bit, or <see langword="null"/> where none is known.</summary>
    internal static CpuidFeature? At(uint leaf, uint subleaf, CpuidRegister register, int bit) => ByBit.GetValueOrDefault((leaf, subleaf, register, bit));

    /// <summary>Looks a feature up by name.</summary>
    /// <exception cref="ArgumentException">No feature is called so.</exception>
    public static CpuidFeature Named(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return ByName.GetValueOrDefault(name) ?? throw new ArgumentException($"No CPUID feature is called '{name}'.", nameof(name));
    }
}
