using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VirtKit.RiscV;

/// <summary>What engines keep of a hart in native memory, where handlers and translated code reach it at fixed offsets: the architectural state and the data TLB.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct HartContext
{
    public RiscVState State;

    /// <summary>Where writes to x0 go: register number <see cref="SinkRegister"/> counted from x0.</summary>
    public ulong Sink;

    /// <summary>Not 0 when the hart has to leave its fast path and look around: an interrupt may be due, the host wants it back, another hart asks for a fence.</summary>
    public int Attention;

    /// <summary>Not 0 while mstatus.FS is dirty, so that floating-point registers may be used and changed without looking further.</summary>
    public int FloatReady;

    /// <summary>One bit for each rm field value whose arithmetic the host may do itself: rounding to nearest even while the inexact flag stands already.</summary>
    public uint HostRounding;

    /// <summary>The data TLB of the current translation mode.</summary>
    public TlbEntry* ReadTlb;

    public TlbEntry* WriteTlb;

    /// <summary>Instructions retired before the current one; engines bring it up to date before they call anything of the hart.</summary>
    public ulong Retired;

    /// <summary>The number that addresses <see cref="Sink"/> as if it were an integer register.</summary>
    public static int SinkRegister => Unsafe.SizeOf<RiscVState>() / 8;
}

/// <summary>One entry of the software TLB. A load at address a hits where <c>(a &amp; (~0xfff | size - 1)) == Tag</c>: what crosses its natural alignment misses.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TlbEntry
{
    /// <summary>Large, because arrays that lie powers of two apart share entries.</summary>
    public const int Count = 4096;

    /// <summary>A tag that no access matches.</summary>
    public const ulong Invalid = ulong.MaxValue;

    public ulong Tag;

    /// <summary>Host address minus guest virtual address.</summary>
    public nint Addend;

    /// <summary>What of an address an access of <paramref name="size"/> bytes compares.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong TagOf(ulong address, int size) => address & (~0xfffUL | (ulong)(size - 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe TlbEntry* At(TlbEntry* table, ulong address) => (TlbEntry*)((byte*)table + (address >> 8 & (Count - 1) * 16));
}
