namespace VirtKit.Boot;

/// <summary>A loadable segment (<c>PT_LOAD</c>) of an <see cref="ElfImage"/>.</summary>
/// <param name="VirtualAddress">Where its code expects to run (<c>p_vaddr</c>).</param>
/// <param name="PhysicalAddress">Where it is loaded (<c>p_paddr</c>).</param>
/// <param name="Content">Its bytes in the file, a view.</param>
/// <param name="MemorySize">Its length in memory in bytes, at least that of <paramref name="Content"/>; the rest is zeroed.</param>
public readonly record struct ElfSegment(Gva VirtualAddress, Gpa PhysicalAddress, ReadOnlyMemory<byte> Content, ulong MemorySize);
