using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VirtKit.Execution;

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
