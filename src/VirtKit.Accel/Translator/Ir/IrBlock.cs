using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>A block of guest code as IR. Reused from one translation to the next.</summary>
/// <param name="longest">The most bytes of an instruction.</param>
internal sealed class IrBlock(int longest)
{
    /// <summary>The most instructions of a block.</summary>
    public const int MaxInstructions = 64;

    /// <summary>The most ops of a block: no definition records more than 24 for one instruction.</summary>
    public const int MaxOps = MaxInstructions * 24;

    public readonly GuestInstruction[] Instructions = new GuestInstruction[MaxInstructions];

    /// <summary>Found by <see cref="AccessGroups"/>.</summary>
    public readonly AccessGroup[] Groups = new AccessGroup[MaxInstructions / 2];

    /// <summary>The ops; made with the first block.</summary>
    public IrOp[] Ops { get; private set; } = [];

    public int OpCount { get; set; }

    public int InstructionCount { get; set; }

    public int GroupCount { get; set; }

    /// <summary>Whether every access has a TLB lookup of its own. A one-off block is never chained, and is left at its end.</summary>
    public bool IsOneOff { get; set; }

    /// <summary>Whether the block ends in a branch to its own beginning.</summary>
    public bool IsLoop => OpCount > 0 && Ops[OpCount - 1] is { Code: IrCode.Branch } branch && branch.Imm == Pc;

    /// <summary>Whether the block at an address goes only where this one does: it lies in the same page, and does not reach into the next one, which may change without this one.</summary>
    public bool IsWithinPage(ulong pc) => (pc ^ Pc) >> 12 == 0 && (pc & 0xfff) <= 0x1000 - (ulong)longest;

    /// <summary>The address of the first instruction.</summary>
    public ulong Pc { get; set; }

    /// <summary>The address behind the last instruction.</summary>
    public ulong NextPc { get; set; }

    public void Clear(ulong pc)
    {
        if (Ops.Length == 0)
            Ops = new IrOp[MaxOps];
        OpCount = 0;
        InstructionCount = 0;
        Pc = NextPc = pc;
    }
}

/// <summary>An instruction of a block, as its fallback needs it.</summary>
internal struct GuestInstruction
{
    public ulong Pc;
    public Operands Operands;

    /// <summary>The row of the instruction set, or -1 for an illegal word.</summary>
    public short Row;

    /// <summary>2 or 4 bytes.</summary>
    public byte Length;
}
