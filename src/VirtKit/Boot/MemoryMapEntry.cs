namespace VirtKit.Boot;

/// <summary>One range of the memory map that a PC's firmware hands to its operating system (ACPI 6.4 §15, "E820").</summary>
/// <param name="Start">The first address.</param>
/// <param name="Size">The length in bytes.</param>
/// <param name="Kind">What it is.</param>
public readonly record struct MemoryMapEntry(Gpa Start, ulong Size, MemoryMapKind Kind);

/// <summary>The kinds of memory, with their numbers.</summary>
public enum MemoryMapKind
{
    /// <summary>RAM that the operating system may use.</summary>
    Usable = 1,

    /// <summary>Not to be used.</summary>
    Reserved = 2,

    /// <summary>ACPI tables; usable once they have been read.</summary>
    Acpi = 3,
}
