using System.Globalization;

namespace VirtKit.X86;

/// <summary>What one CPUID instruction answers.</summary>
/// <param name="Eax">EAX.</param>
/// <param name="Ebx">EBX.</param>
/// <param name="Ecx">ECX.</param>
/// <param name="Edx">EDX.</param>
public readonly record struct CpuidResult(uint Eax, uint Ebx, uint Ecx, uint Edx)
{
    /// <summary>One register of the answer.</summary>
    public uint this[CpuidRegister register] => register switch
    {
        CpuidRegister.Eax => Eax,
        CpuidRegister.Ebx => Ebx,
        CpuidRegister.Ecx => Ecx,
        _ => Edx,
    };

    /// <summary>The same answer with one register replaced.</summary>
    public CpuidResult With(CpuidRegister register, uint value) => register switch
    {
        CpuidRegister.Eax => this with { Eax = value },
        CpuidRegister.Ebx => this with { Ebx = value },
        CpuidRegister.Ecx => this with { Ecx = value },
        _ => this with { Edx = value },
    };
}

/// <summary>A register of a CPUID answer.</summary>
public enum CpuidRegister
{
    /// <summary>EAX.</summary>
    Eax,

    /// <summary>EBX.</summary>
    Ebx,

    /// <summary>ECX.</summary>
    Ecx,

    /// <summary>EDX.</summary>
    Edx,
}

/// <summary>One row of a CPUID table.</summary>
/// <param name="Leaf">The leaf: EAX before the instruction.</param>
/// <param name="Subleaf">The subleaf: ECX before the instruction; 0 where the leaf has none.</param>
/// <param name="HasSubleaves">Whether the answer depends on the subleaf.</param>
/// <param name="Answer">The answer.</param>
public readonly record struct CpuidEntry(uint Leaf, uint Subleaf, bool HasSubleaves, CpuidResult Answer)
{
    /// <summary>Whether a leaf's answer depends on ECX (SDM 2A, CPUID; APM 3, appendix E).</summary>
    internal static bool IsIndexed(uint leaf) => leaf is 4 or 7 or 0xb or 0xd or 0xf or 0x10 or 0x12 or 0x14 or 0x17 or 0x18 or 0x1b or 0x1d or 0x1e or 0x1f or 0x20 or 0x23 or 0x24
        or 0x8000_001d or 0x8000_0020 or 0x8000_0026;

    /// <summary>The row in hexadecimal.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Leaf:x8}.{Subleaf:x} {Answer.Eax:x8} {Answer.Ebx:x8} {Answer.Ecx:x8} {Answer.Edx:x8}");
}
