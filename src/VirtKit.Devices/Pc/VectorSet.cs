using System.Numerics;
using System.Runtime.CompilerServices;

namespace VirtKit.Devices.Pc;

/// <summary>A bit for each interrupt vector, in eight words as a local APIC shows them.</summary>
[InlineArray(Words)]
internal struct VectorSet
{
    public const int Words = 8;

    private uint _first;

    /// <summary>The highest member, or -1.</summary>
    public readonly int Highest
    {
        get
        {
            for (int word = Words - 1; word >= 0; word--)
            {
                if (this[word] != 0)
                    return word * 32 + 31 - BitOperations.LeadingZeroCount(this[word]);
            }

            return -1;
        }
    }

    public readonly bool Contains(byte vector) => (this[vector >> 5] >> (vector & 31) & 1) != 0;

    public void Set(byte vector, bool member)
    {
        uint bit = 1u << (vector & 31);
        ref uint word = ref this[vector >> 5];
        word = member ? word | bit : word & ~bit;
    }
}
