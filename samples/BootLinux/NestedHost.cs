using System.Runtime.Intrinsics.X86;
using VirtKit.X86;

namespace VirtKit.Samples.BootLinux;

/// <summary>A host whose KVM runs on an emulated processor: ring 0 of a guest then goes through the kernel's instruction emulator, which is made for drivers and boot
/// code and lacks what a whole kernel uses.</summary>
internal static class NestedHost
{
    /// <summary>The features whose instructions the emulator lacks and a kernel uses in ring 0: CMPXCHG16B, XSAVE and XRSTOR, POPCNT, STAC and CLAC, WRGSBASE,
    /// INVPCID, RDSEED, and the vector instructions of its hashes and ciphers, from SSSE3 on.</summary>
    private static readonly string[] Lacking = ["cx16", "xsave", "popcnt", "smap", "fsgsbase", "invpcid", "rdseed", "ssse3", "pclmulqdq", "aes", "sha_ni", "gfni"];

    /// <summary>The same as Linux's options, for what a nested host shows in spite of the policy.</summary>
    public static string KernelOptions { get; } = $"noxsave clearcpuid={string.Join(',', Lacking)}";

    public static CpuidPolicy Policy { get; } = CpuidPolicy.Host.HideWithDependents(Lacking);

    /// <summary>Whether the host is a virtual machine itself. Most of those still run a guest's ring 0 on the processor; it is a hint.</summary>
    public static bool IsLikely => X86Base.IsSupported && (X86Base.CpuId(1, 0).Ecx >> 31) != 0;
}
