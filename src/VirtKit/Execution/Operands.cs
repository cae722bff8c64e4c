using System.Runtime.InteropServices;

namespace VirtKit.Execution;

/// <summary>The decoded operands of one instruction, in the form in which engines keep them: 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Operands
{
    public byte Rd;
    public byte Rs1;
    public byte Rs2;

    /// <summary>The engine's own: the interpreter keeps the instruction's position in its block here.</summary>
    public byte Slot;

    /// <summary>The sign-extended immediate, or what else the ISA's decoder keeps of the instruction.</summary>
    public int Imm;
}
