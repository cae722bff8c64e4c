using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>How a handler goes on to the next op.</summary>
internal interface IDispatch;

/// <summary>Each handler ends by returning the next one's result, which the compiler turns into a jump. Only sound in optimized code: <see cref="TailCallProbe"/>.</summary>
internal readonly struct TailDispatch : IDispatch;

/// <summary>Each handler returns to a loop, which calls the next one.</summary>
internal readonly struct LoopDispatch : IDispatch;

/// <summary>Where a branch goes when it is taken.</summary>
internal interface IBranchDirection;

internal readonly struct Ahead : IBranchDirection;

internal readonly struct Back : IBranchDirection;

/// <summary>The handlers of one instruction, made from its definition: <c>(hart, op, context, budget)</c> to the budget that is left. The budget counts the
/// instructions that may retire before a block may no longer be run whole; the state's pc is right when a handler leaves.</summary>
/// <typeparam name="TFirst">The instruction before it where one handler does both, which saves a dispatch; otherwise <see cref="Nothing"/>.</typeparam>
/// <typeparam name="T">The instruction.</typeparam>
/// <typeparam name="TDispatch">How to go on.</typeparam>
/// <remarks>Fast handlers call nothing but in tail position, so they need no frame. Whatever takes the address of a local stands in a method of its own. The op of
/// the second instruction of a pair is a whole op: what interrupts a pair goes on there.</remarks>
internal static unsafe class Handlers<TFirst, T, TDispatch> where TFirst : struct, IInstruction where T : struct, IInstruction where TDispatch : struct, IDispatch
{
    private static bool IsPair
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => typeof(TFirst) != typeof(Nothing);
    }

    /// <summary>An instruction that goes on to the next one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Plain(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        if (IsPair && !RunFirst(cpu, op, c))
            return Handlers<Nothing, TFirst, TDispatch>.Slow(cpu, op, c, budget);
        if (IsPair)
            op++;
        var b = new InterpreterBackend<FastPath, OpAddress>(cpu, c, new OpAddress(op));
        if (!T.Define<InterpreterBackend<FastPath, OpAddress>, ulong>(ref b, in op->Operands))
            return Slow(cpu, op, c, budget);
        op++;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return op->Handler(cpu, op, c, budget);
        c->Next = op;
        return budget;
    }

    /// <summary>As <see cref="Plain"/>, for a definition that is too large to be inlined whole: a local whose address is taken would keep the compiler from
    /// ending the handler in a jump, so the definition stands in a method of its own.</summary>
    /// <remarks>The runtime makes no implicit tail call in a method that is marked as not to be inlined; that mark is for the methods that handlers call.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long PlainCalled(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        if (!RunFast(op, c))
            return Slow(cpu, op, c, budget);
        op++;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return op->Handler(cpu, op, c, budget);
        c->Next = op;
        return budget;
    }

    /// <summary>A branch. Where it goes back, a loop that never ends is stopped; ahead in the same page it cannot loop, so only the budget is checked.</summary>
    /// <remarks>Each side has its own jump: choosing one target for a shared jump would hide the branch from the host's branch predictor.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Branch<TDirection>(GuestCpu cpu, Op* op, InterpreterContext* c, long budget) where TDirection : struct, IBranchDirection
    {
        if (IsPair && !RunFirst(cpu, op, c))
            return Handlers<Nothing, TFirst, TDispatch>.Slow(cpu, op, c, budget);
        if (IsPair)
            op++;
        var b = new InterpreterBackend<FastPath, OpAddress>(cpu, c, new OpAddress(op));
        bool taken = T.Define<InterpreterBackend<FastPath, OpAddress>, ulong>(ref b, in op->Operands);
        budget -= op->Operands.Imm;
        if (taken)
        {
            if (budget < 0 || (typeof(TDirection) == typeof(Back) && Volatile.Read(ref c->Cpu.Attention) != 0))
                return Transitions.Leave<TDispatch>(c, BlockExit.Taken(op)->Pc, budget);
            op = BlockExit.Taken(op)->Link;
            if (typeof(TDispatch) == typeof(TailDispatch))
                return op->Handler(cpu, op, c, budget);
            c->Next = op;
            return budget;
        }

        if (budget < 0)
            return Transitions.Leave<TDispatch>(c, BlockExit.Next(op)->Pc, budget);
        op = BlockExit.Next(op)->Link;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return op->Handler(cpu, op, c, budget);
        c->Next = op;
        return budget;
    }

    /// <summary>A jump to a fixed address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Jump(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        if (IsPair && !RunFirst(cpu, op, c))
            return Handlers<Nothing, TFirst, TDispatch>.Slow(cpu, op, c, budget);
        if (IsPair)
            op++;
        var b = new InterpreterBackend<FastPath, OpAddress>(cpu, c, new OpAddress(op));
        T.Define<InterpreterBackend<FastPath, OpAddress>, ulong>(ref b, in op->Operands);
        budget -= op->Operands.Imm;
        if (budget < 0 || Volatile.Read(ref c->Cpu.Attention) != 0)
            return Transitions.Leave<TDispatch>(c, BlockExit.Taken(op)->Pc, budget);
        op = BlockExit.Taken(op)->Link;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return op->Handler(cpu, op, c, budget);
        c->Next = op;
        return budget;
    }

    /// <summary>A jump to a computed address, through the jump cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long JumpRegister(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        if (IsPair && !RunFirst(cpu, op, c))
            return Handlers<Nothing, TFirst, TDispatch>.Slow(cpu, op, c, budget);
        if (IsPair)
            op++;
        var b = new InterpreterBackend<FastPath, OpAddress>(cpu, c, new OpAddress(op));
        T.Define<InterpreterBackend<FastPath, OpAddress>, ulong>(ref b, in op->Operands);
        budget -= op->Operands.Slot + 1;
        JumpEntry* entry = JumpEntry.At(c->Jumps, b.Target);
        if (entry->Pc != b.Target || budget < 0 || Volatile.Read(ref c->Cpu.Attention) != 0)
            return Transitions.Leave<TDispatch>(c, b.Target, budget);
        op = entry->Op;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return op->Handler(cpu, op, c, budget);
        c->Next = op;
        return budget;
    }

    /// <summary>An instruction behind which the dispatcher serves attention.</summary>
    public static long System(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        BlockHeader* header = Transitions.Enter(cpu, op, c, budget);
        cpu.NextPc = BlockHeader.PcOf(header, op->Operands.Slot + 1);
        var b = new InterpreterBackend<SlowPath, OpAddress>(cpu, c, new OpAddress(op));
        if (!T.Define<InterpreterBackend<SlowPath, OpAddress>, ulong>(ref b, in op->Operands))
        {
            cpu.TakeTrap();
            return Transitions.Leave<TDispatch>(c, cpu.Pc, budget - op->Operands.Slot);
        }

        return Transitions.Leave<TDispatch>(c, cpu.NextPc, budget - op->Operands.Slot - 1);
    }

    /// <summary>The instruction again, from its beginning, with everything that the fast path leaves out.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Slow(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        if (!Step(cpu, op, c, budget))
            return Transitions.Stop<TDispatch>(c);
        Op* next = op + 1;
        if (typeof(TDispatch) == typeof(TailDispatch))
            return next->Handler(cpu, next, c, budget);
        c->Next = next;
        return budget;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool RunFirst(GuestCpu cpu, Op* op, InterpreterContext* c)
    {
        var b = new InterpreterBackend<FastPath, OpAddress>(cpu, c, new OpAddress(op));
        return TFirst.Define<InterpreterBackend<FastPath, OpAddress>, ulong>(ref b, in op->Operands);
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static bool RunFast(Op* op, InterpreterContext* c)
    {
        var b = new InterpreterBackend<FastPath, OpAddress>(null!, c, new OpAddress(op));
        return T.Define<InterpreterBackend<FastPath, OpAddress>, ulong>(ref b, in op->Operands);
    }

    /// <returns>Whether to go on with the next op; if not, <see cref="InterpreterContext.BudgetLeft"/> and the pc are set.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Step(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        BlockHeader* header = Transitions.Enter(cpu, op, c, budget);
        var b = new InterpreterBackend<SlowPath, OpAddress>(cpu, c, new OpAddress(op));
        int slot = op->Operands.Slot;
        if (!T.Define<InterpreterBackend<SlowPath, OpAddress>, ulong>(ref b, in op->Operands))
        {
            cpu.TakeTrap();
            c->BudgetLeft = budget - slot;
            return false;
        }

        // The instruction may have set Attention (a device raised an interrupt, the slice ends), which is served before the next one.
        // The stack is checked in case handlers turn out to call each other after all.
        if (Volatile.Read(ref c->Cpu.Attention) == 0 && RuntimeHelpers.TryEnsureSufficientExecutionStack())
            return true;
        c->Cpu.Pc = BlockHeader.PcOf(header, slot + 1);
        c->BudgetLeft = budget - slot - 1;
        return false;
    }
}
