using VirtKit.RiscV;
using VirtKit.RiscV.Extensions;

namespace VirtKit.Interpreter;

/// <summary>The pairs of neighbours for which there is a handler that does both. Their meanings are their definitions'; only the dispatch between them is saved.</summary>
/// <remarks>
/// The instructions are those that make up nine tenths of what integer workloads and a booting kernel retire. A just-in-time compiler makes a handler only when
/// its pair is first run, but an ahead-of-time compiler makes them all, so the list is not longer than it has to be.
/// NOTE(design): spelled out rather than visited by generic calls, each of which would have to be compiled at start-up: 1,500 methods.
/// </remarks>
internal static unsafe class FusedPairs<TDispatch> where TDispatch : struct, IDispatch
{
    public static void AddTo(HandlerTable table)
    {
        AddAfter<Addi>(table);
        AddAfter<Add>(table);
        AddAfter<Ld>(table);
        AddAfter<Slli>(table);
        AddAfter<Sd>(table);
        AddAfter<Lbu>(table);
        AddAfter<Lw>(table);
        AddAfter<Addiw>(table);
        AddAfter<Xor>(table);
        AddAfter<Andi>(table);
        AddAfter<Srli>(table);
        AddAfter<Srliw>(table);
        AddAfter<Lwu>(table);
        AddAfter<Or>(table);
        AddAfter<And>(table);
        AddAfter<Mul>(table);
        AddAfter<Sub>(table);
        AddAfter<Sw>(table);
        AddAfter<Sb>(table);
        AddAfter<Slliw>(table);
        AddAfter<Addw>(table);
        AddAfter<Lui>(table);
        AddFloat(table);
    }

    private static void AddAfter<TFirst>(HandlerTable table) where TFirst : struct, IInstruction
    {
        delegate*<Hart, Op*, InterpreterContext*, long, long> first = &Handlers<Nothing, TFirst, TDispatch>.Plain;
        table.AddPair(first, &Handlers<Nothing, Addi, TDispatch>.Plain, &Handlers<TFirst, Addi, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Add, TDispatch>.Plain, &Handlers<TFirst, Add, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Ld, TDispatch>.Plain, &Handlers<TFirst, Ld, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Slli, TDispatch>.Plain, &Handlers<TFirst, Slli, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Sd, TDispatch>.Plain, &Handlers<TFirst, Sd, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Lbu, TDispatch>.Plain, &Handlers<TFirst, Lbu, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Lw, TDispatch>.Plain, &Handlers<TFirst, Lw, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Addiw, TDispatch>.Plain, &Handlers<TFirst, Addiw, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Xor, TDispatch>.Plain, &Handlers<TFirst, Xor, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Andi, TDispatch>.Plain, &Handlers<TFirst, Andi, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Srli, TDispatch>.Plain, &Handlers<TFirst, Srli, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Srliw, TDispatch>.Plain, &Handlers<TFirst, Srliw, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Lwu, TDispatch>.Plain, &Handlers<TFirst, Lwu, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Or, TDispatch>.Plain, &Handlers<TFirst, Or, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, And, TDispatch>.Plain, &Handlers<TFirst, And, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Mul, TDispatch>.Plain, &Handlers<TFirst, Mul, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Sub, TDispatch>.Plain, &Handlers<TFirst, Sub, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Sw, TDispatch>.Plain, &Handlers<TFirst, Sw, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Sb, TDispatch>.Plain, &Handlers<TFirst, Sb, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Slliw, TDispatch>.Plain, &Handlers<TFirst, Slliw, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Addw, TDispatch>.Plain, &Handlers<TFirst, Addw, TDispatch>.Plain);
        table.AddPair(first, &Handlers<Nothing, Beq, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Beq, TDispatch>.Branch<Ahead>);
        table.AddPair(first, &Handlers<Nothing, Beq, TDispatch>.Branch<Back>, &Handlers<TFirst, Beq, TDispatch>.Branch<Back>);
        table.AddPair(first, &Handlers<Nothing, Bne, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Bne, TDispatch>.Branch<Ahead>);
        table.AddPair(first, &Handlers<Nothing, Bne, TDispatch>.Branch<Back>, &Handlers<TFirst, Bne, TDispatch>.Branch<Back>);
        table.AddPair(first, &Handlers<Nothing, Blt, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Blt, TDispatch>.Branch<Ahead>);
        table.AddPair(first, &Handlers<Nothing, Blt, TDispatch>.Branch<Back>, &Handlers<TFirst, Blt, TDispatch>.Branch<Back>);
        table.AddPair(first, &Handlers<Nothing, Bge, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Bge, TDispatch>.Branch<Ahead>);
        table.AddPair(first, &Handlers<Nothing, Bge, TDispatch>.Branch<Back>, &Handlers<TFirst, Bge, TDispatch>.Branch<Back>);
        table.AddPair(first, &Handlers<Nothing, Bltu, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Bltu, TDispatch>.Branch<Ahead>);
        table.AddPair(first, &Handlers<Nothing, Bltu, TDispatch>.Branch<Back>, &Handlers<TFirst, Bltu, TDispatch>.Branch<Back>);
        table.AddPair(first, &Handlers<Nothing, Bgeu, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Bgeu, TDispatch>.Branch<Ahead>);
        table.AddPair(first, &Handlers<Nothing, Bgeu, TDispatch>.Branch<Back>, &Handlers<TFirst, Bgeu, TDispatch>.Branch<Back>);
        table.AddPair(first, &Handlers<Nothing, Jal, TDispatch>.Jump, &Handlers<TFirst, Jal, TDispatch>.Jump);
        table.AddPair(first, &Handlers<Nothing, Jalr, TDispatch>.JumpRegister, &Handlers<TFirst, Jalr, TDispatch>.JumpRegister);
    }

    /// <summary>What inner loops over arrays of doubles consist of beside the arithmetic, whose handlers are no leaves.</summary>
    private static void AddFloat(HandlerTable table)
    {
        table.AddPair(&Handlers<Nothing, FloatLoad<DoubleFormat>, TDispatch>.Plain, &Handlers<Nothing, FloatLoad<DoubleFormat>, TDispatch>.Plain, &Handlers<FloatLoad<DoubleFormat>, FloatLoad<DoubleFormat>, TDispatch>.Plain);
        table.AddPair(&Handlers<Nothing, FloatLoad<DoubleFormat>, TDispatch>.Plain, &Handlers<Nothing, Addi, TDispatch>.Plain, &Handlers<FloatLoad<DoubleFormat>, Addi, TDispatch>.Plain);
        table.AddPair(&Handlers<Nothing, Addi, TDispatch>.Plain, &Handlers<Nothing, FloatLoad<DoubleFormat>, TDispatch>.Plain, &Handlers<Addi, FloatLoad<DoubleFormat>, TDispatch>.Plain);
        table.AddPair(&Handlers<Nothing, FloatStore<DoubleFormat>, TDispatch>.Plain, &Handlers<Nothing, Addi, TDispatch>.Plain, &Handlers<FloatStore<DoubleFormat>, Addi, TDispatch>.Plain);
    }
}
