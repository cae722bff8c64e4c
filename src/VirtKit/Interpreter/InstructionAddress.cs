using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>The address of the instruction that a backend executes.</summary>
internal interface IInstructionAddress
{
    /// <summary>An address relative to the instruction's own.</summary>
    ulong Plus(int offset);

    /// <summary>The address of the next instruction in memory.</summary>
    ulong Next { get; }
}

/// <summary>That of an op, which knows it only as far as the block builder has foreseen.</summary>
internal readonly unsafe struct OpAddress(Op* op) : IInstructionAddress
{
    /// <summary>The address behind a jump.</summary>
    public ulong Next
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => BlockExit.Next(op)->Pc;
    }

    /// <summary>The block builder has put the sum into the literal that the immediate points at.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Plus(int offset) => *(ulong*)((byte*)op + offset);
}

/// <summary>That of an instruction that stands alone, which the CPU has.</summary>
internal readonly struct CpuAddress(GuestCpu cpu) : IInstructionAddress
{
    public ulong Next => cpu.NextPc;

    public ulong Plus(int offset) => cpu.Pc + (ulong)offset;
}
