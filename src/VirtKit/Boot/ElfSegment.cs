namespace VirtKit.Boot;

/// <summary>A loadable segment (<c>PT_LOAD</c>) of an <see cref="ElfImage"/>.</summary>
/// <param name="VirtualAddress">Where its code expects to run (<c>p_vaddr</c>).</param>
/// <param name="PhysicalAddress">Where it is loaded (<c>p_paddr</c>).</param>
/// <param name="Content">Its bytes in the file, a view.</param>
/// <param name="MemorySize">Its length in memory in bytes, at least that of <paramref name="Content"/>; the rest is zeroed.</param>
/// <param name="Access">What the program may do with it (<c>p_flags</c>); loading at physical addresses ignores it.</param>
public readonly record struct ElfSegment(Gva VirtualAddress, Gpa PhysicalAddress, ReadOnlyMemory<byte> Content, ulong MemorySize, ElfAccess Access);

/// <summary>Access to a segment; the values are the file's.</summary>
[Flags]
public enum ElfAccess : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Execute (<c>PF_X</c>).</summary>
    Execute = 1,

    /// <summary>Write (<c>PF_W</c>).</summary>
    Write = 2,

    /// <summary>Read (<c>PF_R</c>).</summary>
    Read = 4,
}
