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

    /// <summary>In bytes.</summary>
    public byte Length;

    /// <summary>What follows the instruction.</summary>
    public BlockEnd End;
}

/// <summary>A place where translated code is left for a fixed address.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ExitRecord
{
    // Bit 63 is a flag: addresses of the host are below it.
    private const ulong OneOff = 1UL << 63;
    private ulong _patch;

    public ExitRecord(ulong pc, byte* patch = null, bool oneOff = false)
    {
        Pc = pc;
        _patch = (ulong)patch | (oneOff ? OneOff : 0);
    }

    public readonly ulong Pc;

    /// <summary>Whether the code to go on with is one in which every access has its own TLB lookup.</summary>
    public readonly bool IsOneOff => (_patch & OneOff) != 0;

    /// <summary>The displacement to patch, in the writable view, or null where the exit is never linked.</summary>
    public byte* Patch
    {
        readonly get => (byte*)(_patch & ~OneOff);
        set => _patch = (ulong)value | _patch & OneOff;
    }
}
