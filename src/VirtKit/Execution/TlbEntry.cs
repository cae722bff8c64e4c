using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VirtKit.Execution;

/// <summary>One entry of the software TLB. An access hits where the page of its last byte is the tag of the entry of its first byte, whose page no other entry has: what crosses into
/// another page misses. Atomics, which have to be aligned, compare their alignment too.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TlbEntry
{
    /// <summary>Many, because arrays whose distance is a power of two share entries.</summary>
    public const int Count = 4096;

    /// <summary>A tag that no access matches.</summary>
    public const ulong Invalid = ulong.MaxValue;

    public ulong Tag;

    /// <summary>Host address minus guest virtual address.</summary>
    public nint Addend;

    /// <summary>What a load or store of <paramref name="size"/> bytes compares.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong TagOf(ulong address, int size) => unchecked(address + (ulong)(size - 1)) & ~0xfffUL;

    /// <summary>What an atomic of <paramref name="size"/> bytes compares.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong AlignedTagOf(ulong address, int size) => address & (~0xfffUL | (ulong)(size - 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe TlbEntry* At(TlbEntry* table, ulong address) => (TlbEntry*)((byte*)table + (address >> 8 & (Count - 1) * 16));
}
