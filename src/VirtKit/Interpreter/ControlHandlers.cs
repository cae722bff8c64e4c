using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>Handlers of ops that are not guest instructions: block ends, stubs of exits, illegal words.</summary>
internal static unsafe class ControlHandlers<TDispatch> where TDispatch : struct, IDispatch
{
    /// <summary>The end of a block that no jump ends: goes on at the next exit. Its slot is the number of the block's instructions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long FallThrough(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        budget -= op->Operands.Slot;
        if (budget < 0)
            return Transitions.Leave<TDispatch>(c, BlockExit.Next(op)->Pc, budget);
        Op* next = BlockExit.Next(op)->Link;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return next->Handler(cpu, next, c, budget);
        c->Next = next;
        return budget;
    }

    /// <summary>An exit's stub while it is not linked: leaves, and asks for the link.</summary>
    public static long Unlinked(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        BlockExit* exit = BlockExit.OfStub(op);
        c->WantsLink = exit;
        return Transitions.Leave<TDispatch>(c, exit->Pc, budget);
    }

    /// <summary>The stub of an exit into another page, which is never linked, for that page may be mapped anew: a probe of the jump cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long OtherPage(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        ulong pc = BlockExit.OfStub(op)->Pc;
        JumpEntry* entry = JumpEntry.At(c->Jumps, pc);
        if (entry->Pc != pc || Volatile.Read(ref c->Cpu.Attention) != 0)
            return Transitions.Leave<TDispatch>(c, pc, budget);
        Op* target = entry->Op;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return target->Handler(cpu, target, c, budget);
        c->Next = target;
        return budget;
    }

    /// <summary>An instruction word that the set does not have.</summary>
    public static long Illegal(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        Transitions.Enter(cpu, op, c, budget);
        cpu.IllegalInstruction();
        cpu.TakeTrap();
        return Transitions.Leave<TDispatch>(c, cpu.Pc, budget - op->Operands.Slot);
    }
}
