namespace VirtKit.X86;

/// <summary>A segment register with its hidden part (SDM 3A §3.4.3).</summary>
public partial struct X64Segment
{
    /// <summary>The base address.</summary>
    public ulong Base;

    /// <summary>The limit in bytes, whatever the granularity.</summary>
    public uint Limit;

    /// <summary>The visible part.</summary>
    public ushort Selector;

    /// <summary>The type field, 4 bits.</summary>
    public byte Type;

    /// <summary>The descriptor privilege level, 0 to 3.</summary>
    public byte Dpl;

    /// <summary>Whether the descriptor is for code or data (S) rather than a system descriptor.</summary>
    public bool CodeOrData;

    /// <summary>Whether the segment is present.</summary>
    public bool Present;

    /// <summary>AVL, free for software.</summary>
    public bool Available;

    /// <summary>L: 64-bit code.</summary>
    public bool Long;

    /// <summary>D/B: 32-bit operands and stack.</summary>
    public bool Big;

    /// <summary>G: the descriptor's limit counts pages.</summary>
    public bool Granular;

    /// <summary>Whether the register holds a null selector or was otherwise made unusable.</summary>
    public bool Unusable;

    /// <summary>A flat code segment.</summary>
    /// <param name="selector">The visible part; its lower two bits are also the privilege level.</param>
    /// <param name="bits">16, 32 or 64.</param>
    /// <exception cref="ArgumentOutOfRangeException">Another width.</exception>
    public static X64Segment Code(ushort selector, int bits) => Flat(selector, 0xb, bits);

    /// <summary>A flat, writable data segment.</summary>
    /// <inheritdoc cref="Code"/>
    public static X64Segment Data(ushort selector, int bits) => Flat(selector, 0x3, bits);

    private static X64Segment Flat(ushort selector, byte type, int bits)
    {
        if (bits is not (16 or 32 or 64))
            throw new ArgumentOutOfRangeException(nameof(bits), bits, "A segment is for 16, 32 or 64 bits.");
        bool code = (type & 8) != 0;
        return new X64Segment
        {
            Selector = selector,
            Base = bits == 16 ? (ulong)selector << 4 : 0,
            Limit = bits == 16 ? 0xffff : 0xffff_ffff,
            Type = type,
            Dpl = bits == 16 ? (byte)0 : (byte)(selector & 3),
            CodeOrData = true,
            Present = true,
            Long = code && bits == 64,
            Big = bits == 32 || (bits == 64 && !code),
            Granular = bits != 16,
        };
    }
}

/// <summary>A descriptor table register.</summary>
public partial struct X64DescriptorTable
{
    /// <summary>The linear base address.</summary>
    public ulong Base;

    /// <summary>The limit: the table's length in bytes, less one.</summary>
    public ushort Limit;
}
