using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator;

/// <summary>A place from which translated code calls the shared function of an instruction: what is needed to run it, and the guest pc.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Site
{
    public ulong Pc;
    public Operands Operands;

    /// <summary>The row, or -1 for an illegal word.</summary>
    public short Row;

    /// <summary>How many of the block's instructions have not retired before this one; the block's budget is spent at its entry.</summary>
    public byte Remaining;

    /// <summary>2 or 4 bytes.</summary>
    public byte Length;

    /// <summary>What follows the instruction.</summary>
    public BlockEnd End;
}

/// <summary>A place where translated code is left for a fixed address.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ExitRecord
{
    // The lowest bit, which no address has, is the other property.
    private readonly ulong _target;

    public ExitRecord(ulong pc, byte* patch = null, bool lone = false)
    {
        _target = pc | (lone ? 1UL : 0);
        Patch = patch;
    }

    public readonly ulong Pc => _target & ~1UL;

    /// <summary>Whether the code to go on with is one in which every access has its own look at the TLB.</summary>
    public readonly bool IsLone => (_target & 1) != 0;

    /// <summary>The displacement to patch, in the writable view, or null where the exit is never linked.</summary>
    public byte* Patch;
}
