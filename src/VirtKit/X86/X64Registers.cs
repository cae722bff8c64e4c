using System.Runtime.InteropServices;

namespace VirtKit.X86;

/// <summary>The general registers of a vCPU, the part of <see cref="X64State"/> that a host most often looks at. An x86 engine gives and takes it alone at a fraction of
/// the cost of the whole state. Names are the specification's (SDM 1 §3.4.1).</summary>
/// <remarks>Setting them lets a halted vCPU go on behind its HLT.</remarks>
[StructLayout(LayoutKind.Sequential)]
public struct X64Registers : IEquatable<X64Registers>
{
    /// <summary>RAX.</summary>
    public ulong Rax;

    /// <summary>RBX.</summary>
    public ulong Rbx;

    /// <summary>RCX.</summary>
    public ulong Rcx;

    /// <summary>RDX.</summary>
    public ulong Rdx;

    /// <summary>RSI.</summary>
    public ulong Rsi;

    /// <summary>RDI.</summary>
    public ulong Rdi;

    /// <summary>RSP.</summary>
    public ulong Rsp;

    /// <summary>RBP.</summary>
    public ulong Rbp;

    /// <summary>R8.</summary>
    public ulong R8;

    /// <summary>R9.</summary>
    public ulong R9;

    /// <summary>R10.</summary>
    public ulong R10;

    /// <summary>R11.</summary>
    public ulong R11;

    /// <summary>R12.</summary>
    public ulong R12;

    /// <summary>R13.</summary>
    public ulong R13;

    /// <summary>R14.</summary>
    public ulong R14;

    /// <summary>R15.</summary>
    public ulong R15;

    /// <summary>The instruction pointer.</summary>
    public ulong Rip;

    /// <summary>The flags. Bit 1 is always set.</summary>
    public ulong Rflags;

    /// <inheritdoc/>
    public readonly bool Equals(X64Registers other) =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<X64Registers>(in this)).SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<X64Registers>(in other)));

    /// <inheritdoc/>
    public override readonly bool Equals(object? obj) => obj is X64Registers other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode() => HashCode.Combine(Rip, Rsp, Rax, Rflags);

    /// <summary>Whether all registers are equal.</summary>
    public static bool operator ==(X64Registers left, X64Registers right) => left.Equals(right);

    /// <summary>Whether a register differs.</summary>
    public static bool operator !=(X64Registers left, X64Registers right) => !left.Equals(right);
}
