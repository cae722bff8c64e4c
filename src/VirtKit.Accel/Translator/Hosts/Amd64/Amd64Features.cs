using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using VirtKit.Accel.Translator.Code;

namespace VirtKit.Accel.Translator.Hosts.Amd64;

/// <summary>What translated code needs of the host's processor: AVX2, BMI1, BMI2, LZCNT, POPCNT and FMA, and an operating system that keeps the vector registers.</summary>
internal static unsafe class Amd64Features
{
    private const int Osxsave = 27;

    /// <summary>XCR0's bits for the SSE and AVX state (SDM 1 §13.3).</summary>
    private const ulong SseAndAvxState = 6;

    /// <summary>xor ecx, ecx; xgetbv; shl rdx, 32; or rax, rdx; ret: reads XCR0 (SDM 2D, XGETBV), for which .NET has no intrinsic.</summary>
    private static ReadOnlySpan<byte> ReadXcr0 => [0x31, 0xc9, 0x0f, 0x01, 0xd0, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0xc3];

    /// <summary>Why translated code cannot run here, or <see langword="null"/>.</summary>
    /// <remarks>Where .NET compiles at run time, it has asked the processor, and its answer also follows the user's switches (<c>DOTNET_EnableAVX2=0</c>). A program
    /// compiled ahead of time answers for the processor that it was compiled for, by default one without AVX2: there the processor is asked again.</remarks>
    /// <exception cref="VirtKitException">The host gives no memory for code.</exception>
    public static string? Objection()
    {
        if (IsSupportedByRuntime)
            return null;
        string missing = RuntimeFeature.IsDynamicCodeCompiled ? "AVX2, BMI1, BMI2, LZCNT, POPCNT or FMA" : Missing();
        return missing.Length == 0 ? null : $"the host's processor lacks {missing}.";
    }

    /// <summary>Whether .NET would use all of them.</summary>
    public static bool IsSupportedByRuntime =>
        Avx2.IsSupported && Bmi1.X64.IsSupported && Bmi2.X64.IsSupported && Lzcnt.X64.IsSupported && Popcnt.X64.IsSupported && Fma.IsSupported;

    /// <summary>What the processor lacks by CPUID (SDM 2A, CPUID), separated by commas.</summary>
    /// <exception cref="VirtKitException">The host gives no memory for code.</exception>
    public static string Missing()
    {
        int basic = X86Base.CpuId(0, 0).Eax, extended = X86Base.CpuId(unchecked((int)0x80000000), 0).Eax;
        int leaf1 = X86Base.CpuId(1, 0).Ecx;
        int leaf7 = basic >= 7 ? X86Base.CpuId(7, 0).Ebx : 0;
        int extended1 = (uint)extended >= 0x80000001 ? X86Base.CpuId(unchecked((int)0x80000001), 0).Ecx : 0;
        List<string> missing = [];
        Need("AVX", leaf1, 28);
        Need("FMA", leaf1, 12);
        Need("POPCNT", leaf1, 23);
        Need("BMI1", leaf7, 3);
        Need("AVX2", leaf7, 5);
        Need("BMI2", leaf7, 8);
        Need("LZCNT", extended1, 5);
        if ((leaf1 >> Osxsave & 1) == 0 || (Xcr0() & SseAndAvxState) != SseAndAvxState)
            missing.Add("an operating system that keeps AVX registers");
        return string.Join(", ", missing);

        void Need(string name, int register, int bit)
        {
            if ((register >> bit & 1) == 0)
                missing.Add(name);
        }
    }

    private static ulong Xcr0()
    {
        using ICodeMemory memory = CodeMemory.Allocate(0x1000);
        ReadXcr0.CopyTo(new Span<byte>(memory.Writable, memory.Length));
        // SAFETY: OSXSAVE is set, so XGETBV is there; the code changes no register that its caller keeps, in every convention of x86-64.
        return ((delegate* unmanaged<ulong>)memory.Executable)();
    }
}
