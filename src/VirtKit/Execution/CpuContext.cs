using System.Runtime.InteropServices;

namespace VirtKit.Execution;

/// <summary>What every CPU has in native memory, where handlers and translated code reach it at fixed offsets. An engine's context begins with it, and the CPU's slots, which
/// are its registers, stand behind that.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CpuContext
{
    /// <summary>The address of the current instruction; engines bring it up to date before they call anything of the CPU.</summary>
    public ulong Pc;

    /// <summary>Instructions retired before the current one; as up to date as <see cref="Pc"/>.</summary>
    public ulong Retired;

    /// <summary>The data TLB for loads of the current translation mode.</summary>
    public TlbEntry* ReadTlb;

    /// <summary>As <see cref="ReadTlb"/>, for stores.</summary>
    public TlbEntry* WriteTlb;

    /// <summary>Not 0 when the engine has to leave its fast path: an interrupt may be pending, the host has requested an exit, another CPU has requested a fence.</summary>
    public int Attention;

    /// <summary>Not 0 while floating-point registers may be used and changed without asking the CPU.</summary>
    public int FloatReady;

    /// <summary>Bit n stands for the n-th <see cref="FloatingPoint.RoundingMode"/>: set where that mode is to nearest even and the inexact flag is set already, so that the host's own result is all that an operation changes.</summary>
    public uint HostRounding;
}

/// <summary>How much of a CPU's native memory is its engine's.</summary>
/// <param name="Before">Bytes in front of the <see cref="CpuContext"/>.</param>
/// <param name="Size">Bytes from the beginning of the <see cref="CpuContext"/>, with which the engine's context begins, to the first slot.</param>
internal readonly unsafe record struct ContextSize(int Before, int Size)
{
    /// <summary>The size for a CPU to which no engine is attached.</summary>
    public static ContextSize Detached => new(0, sizeof(CpuContext));
}
