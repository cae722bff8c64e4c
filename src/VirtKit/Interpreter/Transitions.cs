using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>Leaving a block, as all handlers do it.</summary>
internal static unsafe class Transitions
{
    /// <summary>Makes pc and the retired count those of the op, before anything of the CPU is called.</summary>
    public static BlockHeader* Enter(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        BlockHeader* header = BlockHeader.Of(op);
        int slot = op->Operands.Slot;
        c->Cpu.Pc = BlockHeader.PcOf(header, slot);
        c->Cpu.Retired = c->RetiredAtZero - (ulong)budget + (ulong)slot;
        return header;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Leave<TDispatch>(InterpreterContext* c, ulong pc, long budget) where TDispatch : struct, IDispatch
    {
        c->Cpu.Pc = pc;
        if (typeof(TDispatch) == typeof(LoopDispatch))
            c->Next = null;
        return budget;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Stop<TDispatch>(InterpreterContext* c) where TDispatch : struct, IDispatch
    {
        if (typeof(TDispatch) == typeof(LoopDispatch))
            c->Next = null;
        return c->BudgetLeft;
    }
}
