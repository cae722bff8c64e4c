using System.Runtime.InteropServices;
using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>One predecoded instruction: 16 bytes. A block is a <see cref="BlockHeader"/>, its ops, and behind the last one its two <see cref="BlockExit"/>s with
/// their stubs, all neighbours.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Op
{
    public delegate*<GuestCpu, Op*, InterpreterContext*, long, long> Handler;

    /// <summary>As decoded, but Slot is the position in the block.</summary>
    public Operands Operands;

    /// <summary>The most instructions of one block: positions have to fit.</summary>
    public const int MaxBlockLength = 62;
}

/// <summary>What a block starts with; as long as an op.</summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
internal unsafe struct BlockHeader
{
    public const int Slots = 1;

    public ulong Pc;

    /// <summary>The number of instructions.</summary>
    public short Count;

    /// <summary>How many bytes behind the header the table begins that has the offset of each instruction from <see cref="Pc"/>, and of the first one behind the block.</summary>
    public ushort Offsets;

    public static BlockHeader* Of(Op* op) => (BlockHeader*)(op - op->Operands.Slot - Slots);

    /// <summary>The address of the instruction at a position; also of the first one behind the block.</summary>
    public static ulong PcOf(BlockHeader* header, int slot) => header->Pc + ((ushort*)((byte*)header + header->Offsets))[slot];
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

/// <summary>A CPU's context with what the interpreter adds. The CPU's slots stand behind it, at the
/// beginning of a cache line.</summary>
[StructLayout(LayoutKind.Sequential, Size = 128)]
internal unsafe struct InterpreterContext
{
    public CpuContext Cpu;

    /// <summary>The jump cache of the current code mode.</summary>
    public JumpEntry* Jumps;

    /// <summary>What <see cref="CpuContext.Retired"/> is when the budget that handlers carry reaches 0.</summary>
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

    /// <summary>An address that is not looked up in the first entry of a table; what is not looked up in the others is 0, whose entry is the first.</summary>
    public const ulong InvalidFirst = ulong.MaxValue;

    public ulong Pc;

    public Op* Op;

    public static JumpEntry* At(JumpEntry* table, ulong pc) => (JumpEntry*)((byte*)table + (pc << 3 & (Count - 1) * 16));
}
