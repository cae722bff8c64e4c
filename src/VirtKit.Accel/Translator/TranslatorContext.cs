using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Execution;
using VirtKit.Interpreter;

namespace VirtKit.Accel.Translator;

/// <summary>What translated code uses beside the slots: its own part, and behind it the context of the interpreter's handlers, which finish budgets. The CPU's slots follow.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TranslatorContext
{
    /// <summary>The jump cache of the current code mode.</summary>
    public CodeEntry* Jumps;

    /// <summary>Instructions that may still retire; in a register while translated code runs.</summary>
    public long Budget;

    /// <summary>Runs one instruction by its shared function: (context, site, or the complement of a page probe) to 0 where the block goes on.</summary>
    public delegate* unmanaged<TranslatorContext*, int, int> Fallback;

    /// <summary>The core, as a GC handle.</summary>
    public nint Core;

    /// <summary>The exit through which the code was left.</summary>
    public int Exit;

    public ExitKind ExitKind;

    public FloatMasks Masks;

    public RecentPages Recent;

    public SpilledValues Spilled;

    public InterpreterContext Interpreter;

    /// <summary>The size of a CPU's context here.</summary>
    /// <remarks>Rounded up, so that the slots begin a cache line.</remarks>
    public static ContextSize Size => new((ContextLayout.Interpreter + 63) & ~63, sizeof(InterpreterContext));

    /// <summary>The context that a CPU's is a part of.</summary>
    public static TranslatorContext* Of(CpuContext* context) => (TranslatorContext*)((byte*)context - ContextLayout.Interpreter);
}

/// <summary>What an instruction has loaded and still needs when it accesses memory again.</summary>
[InlineArray(Count)]
internal struct SpilledValues
{
    public const int Count = 4;

    private ulong _first;
}

/// <summary>Constants for floating-point code; those of bitwise operations are 16 bytes long.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FloatMasks
{
    /// <summary>What stands above a boxed single.</summary>
    public UInt128 Box;
    public UInt128 SignOfSingle;
    public UInt128 SignOfDouble;

    /// <summary>The vector unit's control: everything masked, to nearest even, no flag standing (SDM 1 §10.2.3).</summary>
    public uint ControlAtEntry;

    /// <summary>Where the flags are stored to look at them.</summary>
    public uint Control;

    public static FloatMasks Create() => new() { Box = FloatFormats.AboveBoxed, SignOfSingle = 1UL << 31, SignOfDouble = 1UL << 63, ControlAtEntry = 0x1f80 };
}

/// <summary>How translated code was left.</summary>
internal enum ExitKind
{
    /// <summary>The pc is set.</summary>
    Stopped,

    /// <summary>Through an exit that may be linked; its record has the pc.</summary>
    Unlinked,

    /// <summary>Through an exit that may not be linked now; its record has the pc.</summary>
    Unlinkable,

    /// <summary>Before a block that is longer than the budget; the record has the pc.</summary>
    Budget,
}

/// <summary>An entry of the jump cache: virtual address to code.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CodeEntry
{
    public const int Count = 16384;


    /// <summary>By how much an address is shifted and mixed with itself: pages whose numbers differ in the low bits use different entries for the same offset.</summary>
    public const int PageShift = 11;

    public ulong Pc;

    public byte* Code;

    /// <summary>An address that is not looked up in an entry: for the first one this, whose own entry is another.</summary>
    public static ulong InvalidAt(int number) => (number & (Count - 1)) == 0 ? 16UL : 0;

    /// <summary>The byte offset of an address's entry.</summary>
    public static int OffsetOf(ulong pc) => (int)((pc ^ pc >> PageShift) << 3 & (Count - 1) * 16);
}
