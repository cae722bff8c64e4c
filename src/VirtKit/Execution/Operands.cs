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

    /// <summary>The sign-extended immediate, shift amount or CSR number; for floating-point arithmetic, see <see cref="RoundingMode"/> and <see cref="Rs3"/>.</summary>
    public int Imm;

    /// <summary>The instruction's rm field (RV-Unpriv §20.2), where the format has one.</summary>
    public readonly int RoundingMode => Imm & 7;

    /// <summary>The third source of a fused multiply-add.</summary>
    public readonly int Rs3 => Imm >> 8;
}
