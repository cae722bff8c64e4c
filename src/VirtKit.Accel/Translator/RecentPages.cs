using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator;

/// <summary>The page that each of a few accesses reached last. Most accesses in loops stay in one page for long, and an entry that is found by the place in the code instead of
/// by the address can be loaded before the address is known.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RecentPages
{
    /// <summary>Entries for loads, and as many for stores.</summary>
    public const int Count = 64;

    /// <summary>Misses between two checks of the miss rate.</summary>
    public const int MissesToCheck = 32;

    /// <summary>A probe that misses more often than once in so many of the machine's instructions is changed back to the TLB lookup.</summary>
    public const int InstructionsPerMiss = 64;

    public Pages Entries;

    /// <summary>Matches nothing, and stays so.</summary>
    public TlbEntry Never;

    /// <summary>The misses that each may still have.</summary>
    public Misses Left;

    /// <summary>Not 0 when there may be a page.</summary>
    public int AreUsed;

    public void Reset()
    {
        Never.Tag = TlbEntry.Invalid;
        ((Span<int>)Left).Fill(MissesToCheck);
        AreUsed = 1;
        Forget();
    }

    public void Forget()
    {
        if (AreUsed == 0)
            return;
        AreUsed = 0;
        foreach (ref TlbEntry entry in (Span<TlbEntry>)Entries)
            entry.Tag = TlbEntry.Invalid;
    }

    /// <param name="page">The first virtual address of a page.</param>
    public void Forget(ulong page)
    {
        if (AreUsed == 0)
            return;
        foreach (ref TlbEntry entry in (Span<TlbEntry>)Entries)
        {
            if (entry.Tag == page)
                entry.Tag = TlbEntry.Invalid;
        }
    }

    [InlineArray(2 * Count)]
    public struct Pages
    {
        private TlbEntry _first;
    }

    [InlineArray(2 * Count)]
    public struct Misses
    {
        private int _first;
    }
}

/// <summary>How a probe of a recent page is disabled: two displacements in its code to patch, and their new values.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PageProbe
{
    /// <summary>The number of the entry.</summary>
    public int Entry;

    /// <summary>The number of the instruction's site.</summary>
    public int Site;

    /// <summary>In the writable view: the displacement of the entry in the comparison, and of the jump behind it.</summary>
    public byte* Compared, Jump;

    /// <summary>In the writable view: a TLB lookup that changes no entry.</summary>
    public byte* Lookup;
}
