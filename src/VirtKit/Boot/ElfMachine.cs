namespace VirtKit.Boot;

/// <summary>The instruction set that an ELF file names (<c>e_machine</c>).</summary>
public enum ElfMachine : ushort
{
    /// <summary>x86-64.</summary>
    X64 = 62,

    /// <summary>AArch64.</summary>
    Arm64 = 183,

    /// <summary>RISC-V.</summary>
    RiscV = 243,
}
