using System.Runtime.CompilerServices;
using VirtKit.RiscV;

namespace VirtKit.Interpreter;

/// <summary>How a handler goes on to the next op.</summary>
internal interface IDispatch;

/// <summary>Each handler ends by returning the next one's result, which the compiler turns into a jump. Only sound in optimized code: <see cref="TailCallProbe"/>.</summary>
internal readonly struct TailDispatch : IDispatch;

/// <summary>Each handler returns to a loop, which calls the next one.</summary>
internal readonly struct LoopDispatch : IDispatch;

/// <summary>The handlers of one instruction, made from its definition: <c>(hart, op, context, budget)</c> to the budget that is left. The budget counts the
/// instructions that may retire before a block may no longer be run whole; the state's pc is right when a handler leaves.</summary>
/// <remarks>Fast handlers call nothing but in tail position, so they need no frame. Whatever takes the address of a local stands in a method of its own.</remarks>
internal static unsafe class Handlers<T, TDispatch> where T : struct, IInstruction where TDispatch : struct, IDispatch
{
    /// <summary>An instruction that goes on to the next one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Plain(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        var b = new InterpreterBackend<FastPath>(hart, c, op);
        if (!T.Define<InterpreterBackend<FastPath>, ulong>(ref b, in op->Operands))
            return Slow(hart, op, c, budget);
        Op* next = op + 1;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return next->Handler(hart, next, c, budget);
        c->Next = next;
        return budget;
    }

    /// <summary>A branch whose taken side lies ahead in the same page: it cannot loop, so only the budget is looked at.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long BranchAhead(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        var b = new InterpreterBackend<FastPath>(hart, c, op);
        T.Define<InterpreterBackend<FastPath>, ulong>(ref b, in op->Operands);
        budget -= op->Operands.Slot + 1;
        if (b.Taken)
        {
            if (budget < 0)
                return Transitions.Leave<TDispatch>(c, BlockExit.Taken(op)->Pc, budget);
            Op* target = BlockExit.Taken(op)->Link;
            if (typeof(TDispatch) == typeof(TailDispatch))
                return target->Handler(hart, target, c, budget);
            c->Next = target;
            return budget;
        }

        if (budget < 0)
            return Transitions.Leave<TDispatch>(c, BlockExit.Next(op)->Pc, budget);
        Op* next = BlockExit.Next(op)->Link;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return next->Handler(hart, next, c, budget);
        c->Next = next;
        return budget;
    }

    /// <summary>A branch back: the place where a loop that never ends is stopped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long BranchBack(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        var b = new InterpreterBackend<FastPath>(hart, c, op);
        T.Define<InterpreterBackend<FastPath>, ulong>(ref b, in op->Operands);
        budget -= op->Operands.Slot + 1;
        if (b.Taken)
        {
            if (budget < 0 || Volatile.Read(ref c->Hart.Attention) != 0)
                return Transitions.Leave<TDispatch>(c, BlockExit.Taken(op)->Pc, budget);
            Op* target = BlockExit.Taken(op)->Link;
            if (typeof(TDispatch) == typeof(TailDispatch))
                return target->Handler(hart, target, c, budget);
            c->Next = target;
            return budget;
        }

        if (budget < 0)
            return Transitions.Leave<TDispatch>(c, BlockExit.Next(op)->Pc, budget);
        Op* next = BlockExit.Next(op)->Link;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return next->Handler(hart, next, c, budget);
        c->Next = next;
        return budget;
    }

    /// <summary>A jump to a fixed place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Jump(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        var b = new InterpreterBackend<FastPath>(hart, c, op);
        T.Define<InterpreterBackend<FastPath>, ulong>(ref b, in op->Operands);
        budget -= op->Operands.Slot + 1;
        if (budget < 0 || Volatile.Read(ref c->Hart.Attention) != 0)
            return Transitions.Leave<TDispatch>(c, BlockExit.Taken(op)->Pc, budget);
        Op* target = BlockExit.Taken(op)->Link;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return target->Handler(hart, target, c, budget);
        c->Next = target;
        return budget;
    }

    /// <summary>A jump to a computed place, through the jump cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long JumpRegister(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        var b = new InterpreterBackend<FastPath>(hart, c, op);
        T.Define<InterpreterBackend<FastPath>, ulong>(ref b, in op->Operands);
        budget -= op->Operands.Slot + 1;
        JumpEntry* entry = JumpEntry.At(c->Jumps, b.Target);
        if (entry->Pc != b.Target || budget < 0 || Volatile.Read(ref c->Hart.Attention) != 0)
            return Transitions.Leave<TDispatch>(c, b.Target, budget);
        Op* target = entry->Op;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return target->Handler(hart, target, c, budget);
        c->Next = target;
        return budget;
    }

    /// <summary>An instruction after which the dispatcher looks around.</summary>
    public static long System(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        BlockHeader* header = Transitions.Enter(hart, op, c, budget);
        hart.NextPc = header->PcOf(op->Operands.Slot + 1);
        var b = new InterpreterBackend<SlowPath>(hart, c, op);
        if (!T.Define<InterpreterBackend<SlowPath>, ulong>(ref b, in op->Operands))
        {
            hart.TakeTrap();
            return Transitions.Leave<TDispatch>(c, hart.State.Pc, budget - op->Operands.Slot);
        }

        return Transitions.Leave<TDispatch>(c, hart.NextPc, budget - op->Operands.Slot - 1);
    }

    /// <summary>The instruction again, from its beginning, with everything that the fast path leaves out.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static long Slow(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        if (!Step(hart, op, c, budget))
            return Transitions.Stop<TDispatch>(c);
        Op* next = op + 1;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return next->Handler(hart, next, c, budget);
        c->Next = next;
        return budget;
    }

    /// <returns>Whether to go on with the next op; if not, <see cref="InterpreterContext.BudgetLeft"/> and the pc are set.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Step(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        BlockHeader* header = Transitions.Enter(hart, op, c, budget);
        var b = new InterpreterBackend<SlowPath>(hart, c, op);
        int slot = op->Operands.Slot;
        if (!T.Define<InterpreterBackend<SlowPath>, ulong>(ref b, in op->Operands))
        {
            hart.TakeTrap();
            c->BudgetLeft = budget - slot;
            return false;
        }

        // What the instruction did may concern the very next one: an interrupt that a device raised, the end of a slice.
        if (Volatile.Read(ref c->Hart.Attention) == 0)
            return true;
        c->Hart.State.Pc = header->PcOf(slot + 1);
        c->BudgetLeft = budget - slot - 1;
        return false;
    }
}

/// <summary>What all handlers share about leaving a block.</summary>
internal static unsafe class Transitions
{
    /// <summary>Makes pc and the retired count those of the op, before anything of the hart is called.</summary>
    public static BlockHeader* Enter(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        BlockHeader* header = BlockHeader.Of(op);
        int slot = op->Operands.Slot;
        c->Hart.State.Pc = header->PcOf(slot);
        c->Hart.Retired = c->RetiredAtZero - (ulong)budget + (ulong)slot;
        return header;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Leave<TDispatch>(InterpreterContext* c, ulong pc, long budget) where TDispatch : struct, IDispatch
    {
        c->Hart.State.Pc = pc;
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

/// <summary>The ops that no instruction stands behind.</summary>
internal static unsafe class ControlHandlers<TDispatch> where TDispatch : struct, IDispatch
{
    /// <summary>The end of a block that no jump ends: goes on at the next exit. Its slot is the number of the block's instructions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long FallThrough(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        budget -= op->Operands.Slot;
        if (budget < 0)
            return Transitions.Leave<TDispatch>(c, BlockExit.Next(op)->Pc, budget);
        Op* next = BlockExit.Next(op)->Link;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return next->Handler(hart, next, c, budget);
        c->Next = next;
        return budget;
    }

    /// <summary>An exit's stub while it is not linked: leaves, and asks for the link.</summary>
    public static long Unlinked(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        BlockExit* exit = BlockExit.OfStub(op);
        c->WantsLink = exit;
        return Transitions.Leave<TDispatch>(c, exit->Pc, budget);
    }

    /// <summary>The stub of an exit into another page, which is never linked, for that page may be mapped anew: a probe of the jump cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long OtherPage(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        ulong pc = BlockExit.OfStub(op)->Pc;
        JumpEntry* entry = JumpEntry.At(c->Jumps, pc);
        if (entry->Pc != pc || Volatile.Read(ref c->Hart.Attention) != 0)
            return Transitions.Leave<TDispatch>(c, pc, budget);
        Op* target = entry->Op;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return target->Handler(hart, target, c, budget);
        c->Next = target;
        return budget;
    }

    /// <summary>An instruction word that the set does not have.</summary>
    public static long Illegal(Hart hart, Op* op, InterpreterContext* c, long budget)
    {
        Transitions.Enter(hart, op, c, budget);
        hart.IllegalInstruction();
        hart.TakeTrap();
        return Transitions.Leave<TDispatch>(c, hart.State.Pc, budget - op->Operands.Slot);
    }
}
