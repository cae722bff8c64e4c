namespace VirtKit.X86;

/// <summary>A named processor model: the features that it promises, and those that it passes on where the host has them.</summary>
/// <param name="Name">The name, as options spell it.</param>
/// <param name="Required">The features that it promises; a host without one of them cannot run it.</param>
/// <param name="Optional">The features that it passes on.</param>
public sealed record CpuidModel(string Name, IReadOnlyList<string> Required, IReadOnlyList<string> Optional)
{
    // System V ABI, AMD64 supplement 1.0, table 3.1; "osfxsr" and "osxsave" are the operating system's.
    private static readonly string[] V1 = ["cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2"];
    private static readonly string[] V2 = ["cx16", "lahf_lm", "popcnt", "sse3", "sse4_1", "sse4_2", "ssse3"];
    private static readonly string[] V3 = ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"];

    /// <summary>What a 64-bit operating system takes for granted beside the ABI's list.</summary>
    private static readonly string[] System64 = ["apic", "clflush", "de", "lm", "msr", "nx", "pae", "pat", "pge", "pse", "tsc"];

    private static readonly string[] System =
    [
        "3dnowprefetch", "amd_ssb_no", "amd_ssbd", "amd_stibp", "arat", "arch_capabilities", "btc_no", "cmp_legacy", "constant_tsc", "erms", "fsgsbase", "fsrm", "ht", "hypervisor", "ibpb", "ibpb_ret", "ibrs", "invpcid", "la57", "mca", "mce", "md_clear", "mtrr", "pcid", "pdpe1gb",
        "pse36", "rdpid", "rdrand", "rdseed", "rdtscp", "sep", "smap", "smep", "spec_ctrl", "ss", "ssbd", "stibp", "stibp_always_on", "tsc_adjust", "tsc_deadline", "umip", "virt_ssbd", "vme", "x2apic",
    ];

    /// <summary>x86-64-v1: every 64-bit processor.</summary>
    public static CpuidModel X64V1 { get; } = new("x86-64-v1", [.. V1, .. System64], System);

    /// <summary>x86-64-v2: SSE4.2, POPCNT, CMPXCHG16B.</summary>
    public static CpuidModel X64V2 { get; } = new("x86-64-v2", [.. V1, .. System64, .. V2], System);

    /// <summary>x86-64-v3: AVX2, FMA, BMI.</summary>
    public static CpuidModel X64V3 { get; } = new("x86-64-v3", [.. V1, .. System64, .. V2, .. V3], [.. System, "xsaveopt", "xsavec", "xgetbv1"]);

    /// <summary>The fixed model, whose every answer is the same on every host, so that a guest can move between all of them: the features of x86-64-v1 and no others.</summary>
    public static CpuidModel VirtKit { get; } = new("virtkit", [.. V1, .. System64, "hypervisor"], []);

    /// <summary>All models.</summary>
    public static IReadOnlyList<CpuidModel> All { get; } = [X64V1, X64V2, X64V3, VirtKit];
}
