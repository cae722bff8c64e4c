using System.Globalization;

namespace VirtKit.Boot;

/// <summary>An address by a symbol of an <see cref="ElfImage"/>.</summary>
/// <param name="Name">The symbol's name, not demangled.</param>
/// <param name="Address">The symbol's own address.</param>
/// <param name="Offset">How many bytes behind it the address lies that was looked up.</param>
public readonly record struct ElfSymbol(string Name, Gva Address, ulong Offset)
{
    /// <summary>As disassemblers write it, <c>main+0x1c</c>.</summary>
    public override string ToString() => Offset == 0 ? Name : string.Create(CultureInfo.InvariantCulture, $"{Name}+0x{Offset:x}");
}
