using System.Numerics;
using System.Runtime.InteropServices;
using VirtKit.RiscV;

namespace VirtKit.Interpreter;

/// <summary>One predecoded instruction: 16 bytes. A block is a <see cref="BlockHeader"/>, its ops, and behind the last one its two <see cref="BlockExit"/>s with
/// their stubs, all neighbours.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Op
{
    public delegate*<Hart, Op*, InterpreterContext*, long, long> Handler;

    /// <summary>As decoded, but rd is <see cref="HartContext.SinkRegister"/> instead of x0, and Slot is the position in the block.</summary>
    public Operands Operands;

    /// <summary>The most instructions of one block: positions and the mask of lengths have to fit.</summary>
    public const int MaxBlockLength = 62;
}

/// <summary>What a block starts with; two ops long.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal unsafe struct BlockHeader
{
    public const int Slots = 2;

    public ulong Pc;

    /// <summary>One bit for each instruction that is 4 bytes long.</summary>
    public ulong LongMask;

    /// <summary>The number of instructions.</summary>
    public int Count;

    public static BlockHeader* Of(Op* op) => (BlockHeader*)(op - op->Operands.Slot - Slots);

    /// <summary>The address of the instruction at a position; also of the first one behind the block.</summary>
    public readonly ulong PcOf(int slot) => Pc + 2 * (ulong)(slot + BitOperations.PopCount(LongMask & ((1UL << slot) - 1)));
}

/// <summary>Where a block goes on: as long as an op.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BlockExit
{
    /// <summary>The op to go on with: at first this exit's stub, which asks for the link.</summary>
    public Op* Link;

    /// <summary>The guest address to go on at.</summary>
    public ulong Pc;

    /// <summary>The exit where a branch is taken or a jump goes.</summary>
    public static BlockExit* Taken(Op* last) => (BlockExit*)(last + 1);

    /// <summary>The exit to the next instruction in memory.</summary>
    public static BlockExit* Next(Op* last) => (BlockExit*)(last + 2);

    /// <summary>A stub stands two ops behind its exit.</summary>
    public static BlockExit* OfStub(Op* stub) => (BlockExit*)(stub - 2);

    /// <summary>The slots behind a block's last op: two exits, two stubs.</summary>
    public const int Slots = 4;
}

/// <summary>A hart's context with what the interpreter adds.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct InterpreterContext
{
    public HartContext Hart;

    /// <summary>The jump cache of the current privilege mode.</summary>
    public JumpEntry* Jumps;

    /// <summary>What <see cref="HartContext.Retired"/> is when the budget that handlers carry reaches 0.</summary>
    public ulong RetiredAtZero;

    /// <summary>The exit that wants to be linked to where execution goes on.</summary>
    public BlockExit* WantsLink;

    /// <summary>With <see cref="LoopDispatch"/>, the op to run next, or null to leave.</summary>
    public Op* Next;

    /// <summary>The budget with which a slow step left.</summary>
    public long BudgetLeft;
}

/// <summary>An entry of the jump cache: virtual address to op.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct JumpEntry
{
    public const int Count = 8192;

    /// <summary>Odd, as no instruction address is.</summary>
    public const ulong Invalid = ulong.MaxValue;

    public ulong Pc;

    public Op* Op;

    public static JumpEntry* At(JumpEntry* table, ulong pc) => (JumpEntry*)((byte*)table + (pc << 3 & (Count - 1) * 16));
}
