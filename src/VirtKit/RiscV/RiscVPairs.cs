using VirtKit.Execution;
using VirtKit.Interpreter;
using VirtKit.RiscV.Extensions;

namespace VirtKit.RiscV;

using Add = RegisterRegister<Sum>;
using Addi = RegisterImmediate<Sum>;
using Addiw = RegisterImmediate<Word<Sum>>;
using Addw = RegisterRegister<Word<Sum>>;
using And = RegisterRegister<BitAnd>;
using Andi = RegisterImmediate<BitAnd>;
using Beq = Branch<Equal>;
using Bge = Branch<GreaterOrEqual>;
using Bgeu = Branch<GreaterOrEqualUnsigned>;
using Blt = Branch<Less>;
using Bltu = Branch<LessUnsigned>;
using Bne = Branch<NotEqual>;
using Lbu = Load<U8>;
using Ld = Load<U64>;
using Lw = Load<S32>;
using Lwu = Load<U32>;
using Mul = RegisterRegister<Product>;
using Or = RegisterRegister<BitOr>;
using Sb = Store<U8>;
using Sd = Store<U64>;
using Slli = RegisterImmediate<ShiftLeft>;
using Slliw = RegisterImmediate<Word<ShiftLeft>>;
using Srli = RegisterImmediate<ShiftRightLogical>;
using Srliw = RegisterImmediate<Word<OfUnsignedWord<ShiftRightLogical>>>;
using Sub = RegisterRegister<Difference>;
using Sw = Store<U32>;
using Xor = RegisterRegister<BitXor>;

/// <summary>The pairs of neighbours for which there is a handler that does both. Their meanings are their definitions'; only the dispatch between them is saved.</summary>
/// <remarks>
/// The instructions are those that make up nine tenths of what integer workloads and a booting kernel retire. A just-in-time compiler makes a handler only when
/// its pair is first run, but an ahead-of-time compiler makes them all, so the list is not longer than it has to be.
/// NOTE(design): spelled out rather than visited by generic calls, each of which would have to be compiled at start-up: 1,500 methods.
/// </remarks>
internal static unsafe class RiscVPairs<TDispatch> where TDispatch : struct, IDispatch
{
    /// <summary>The first halves: the handler of each, and the function that gives the pairs that begin with it.</summary>
    public static FirstOfPair[] Firsts() =>
    [
        new(&Handlers<Nothing, Addi, TDispatch>.Plain, &AfterAddi),
        new(&Handlers<Nothing, Add, TDispatch>.Plain, &After<Add>),
        new(&Handlers<Nothing, Ld, TDispatch>.Plain, &After<Ld>),
        new(&Handlers<Nothing, Slli, TDispatch>.Plain, &After<Slli>),
        new(&Handlers<Nothing, Sd, TDispatch>.Plain, &After<Sd>),
        new(&Handlers<Nothing, Lbu, TDispatch>.Plain, &After<Lbu>),
        new(&Handlers<Nothing, Lw, TDispatch>.Plain, &After<Lw>),
        new(&Handlers<Nothing, Addiw, TDispatch>.Plain, &After<Addiw>),
        new(&Handlers<Nothing, Xor, TDispatch>.Plain, &After<Xor>),
        new(&Handlers<Nothing, Andi, TDispatch>.Plain, &After<Andi>),
        new(&Handlers<Nothing, Srli, TDispatch>.Plain, &After<Srli>),
        new(&Handlers<Nothing, Srliw, TDispatch>.Plain, &After<Srliw>),
        new(&Handlers<Nothing, Lwu, TDispatch>.Plain, &After<Lwu>),
        new(&Handlers<Nothing, Or, TDispatch>.Plain, &After<Or>),
        new(&Handlers<Nothing, And, TDispatch>.Plain, &After<And>),
        new(&Handlers<Nothing, Mul, TDispatch>.Plain, &After<Mul>),
        new(&Handlers<Nothing, Sub, TDispatch>.Plain, &After<Sub>),
        new(&Handlers<Nothing, Sw, TDispatch>.Plain, &After<Sw>),
        new(&Handlers<Nothing, Sb, TDispatch>.Plain, &After<Sb>),
        new(&Handlers<Nothing, Slliw, TDispatch>.Plain, &After<Slliw>),
        new(&Handlers<Nothing, Addw, TDispatch>.Plain, &After<Addw>),
        new(&Handlers<Nothing, Lui, TDispatch>.Plain, &After<Lui>),
        new(&Handlers<Nothing, FloatLoad<DoubleFormat>, TDispatch>.Plain, &AfterFloatLoad),
        new(&Handlers<Nothing, FloatStore<DoubleFormat>, TDispatch>.Plain, &AfterFloatStore),
    ];

    private static HandlerPair[] After<TFirst>() where TFirst : struct, IInstruction =>
    [
        new(&Handlers<Nothing, Addi, TDispatch>.Plain, &Handlers<TFirst, Addi, TDispatch>.Plain),
        new(&Handlers<Nothing, Add, TDispatch>.Plain, &Handlers<TFirst, Add, TDispatch>.Plain),
        new(&Handlers<Nothing, Ld, TDispatch>.Plain, &Handlers<TFirst, Ld, TDispatch>.Plain),
        new(&Handlers<Nothing, Slli, TDispatch>.Plain, &Handlers<TFirst, Slli, TDispatch>.Plain),
        new(&Handlers<Nothing, Sd, TDispatch>.Plain, &Handlers<TFirst, Sd, TDispatch>.Plain),
        new(&Handlers<Nothing, Lbu, TDispatch>.Plain, &Handlers<TFirst, Lbu, TDispatch>.Plain),
        new(&Handlers<Nothing, Lw, TDispatch>.Plain, &Handlers<TFirst, Lw, TDispatch>.Plain),
        new(&Handlers<Nothing, Addiw, TDispatch>.Plain, &Handlers<TFirst, Addiw, TDispatch>.Plain),
        new(&Handlers<Nothing, Xor, TDispatch>.Plain, &Handlers<TFirst, Xor, TDispatch>.Plain),
        new(&Handlers<Nothing, Andi, TDispatch>.Plain, &Handlers<TFirst, Andi, TDispatch>.Plain),
        new(&Handlers<Nothing, Srli, TDispatch>.Plain, &Handlers<TFirst, Srli, TDispatch>.Plain),
        new(&Handlers<Nothing, Srliw, TDispatch>.Plain, &Handlers<TFirst, Srliw, TDispatch>.Plain),
        new(&Handlers<Nothing, Lwu, TDispatch>.Plain, &Handlers<TFirst, Lwu, TDispatch>.Plain),
        new(&Handlers<Nothing, Or, TDispatch>.Plain, &Handlers<TFirst, Or, TDispatch>.Plain),
        new(&Handlers<Nothing, And, TDispatch>.Plain, &Handlers<TFirst, And, TDispatch>.Plain),
        new(&Handlers<Nothing, Mul, TDispatch>.Plain, &Handlers<TFirst, Mul, TDispatch>.Plain),
        new(&Handlers<Nothing, Sub, TDispatch>.Plain, &Handlers<TFirst, Sub, TDispatch>.Plain),
        new(&Handlers<Nothing, Sw, TDispatch>.Plain, &Handlers<TFirst, Sw, TDispatch>.Plain),
        new(&Handlers<Nothing, Sb, TDispatch>.Plain, &Handlers<TFirst, Sb, TDispatch>.Plain),
        new(&Handlers<Nothing, Slliw, TDispatch>.Plain, &Handlers<TFirst, Slliw, TDispatch>.Plain),
        new(&Handlers<Nothing, Addw, TDispatch>.Plain, &Handlers<TFirst, Addw, TDispatch>.Plain),
        new(&Handlers<Nothing, Beq, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Beq, TDispatch>.Branch<Ahead>),
        new(&Handlers<Nothing, Beq, TDispatch>.Branch<Back>, &Handlers<TFirst, Beq, TDispatch>.Branch<Back>),
        new(&Handlers<Nothing, Bne, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Bne, TDispatch>.Branch<Ahead>),
        new(&Handlers<Nothing, Bne, TDispatch>.Branch<Back>, &Handlers<TFirst, Bne, TDispatch>.Branch<Back>),
        new(&Handlers<Nothing, Blt, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Blt, TDispatch>.Branch<Ahead>),
        new(&Handlers<Nothing, Blt, TDispatch>.Branch<Back>, &Handlers<TFirst, Blt, TDispatch>.Branch<Back>),
        new(&Handlers<Nothing, Bge, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Bge, TDispatch>.Branch<Ahead>),
        new(&Handlers<Nothing, Bge, TDispatch>.Branch<Back>, &Handlers<TFirst, Bge, TDispatch>.Branch<Back>),
        new(&Handlers<Nothing, Bltu, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Bltu, TDispatch>.Branch<Ahead>),
        new(&Handlers<Nothing, Bltu, TDispatch>.Branch<Back>, &Handlers<TFirst, Bltu, TDispatch>.Branch<Back>),
        new(&Handlers<Nothing, Bgeu, TDispatch>.Branch<Ahead>, &Handlers<TFirst, Bgeu, TDispatch>.Branch<Ahead>),
        new(&Handlers<Nothing, Bgeu, TDispatch>.Branch<Back>, &Handlers<TFirst, Bgeu, TDispatch>.Branch<Back>),
        new(&Handlers<Nothing, Jal, TDispatch>.Jump, &Handlers<TFirst, Jal, TDispatch>.Jump),
        new(&Handlers<Nothing, Jalr, TDispatch>.JumpRegister, &Handlers<TFirst, Jalr, TDispatch>.JumpRegister),
    ];

    // What inner loops over arrays of doubles consist of beside the arithmetic, whose handlers are no leaves.
    private static HandlerPair[] AfterAddi() =>
        [.. After<Addi>(), new(&Handlers<Nothing, FloatLoad<DoubleFormat>, TDispatch>.Plain, &Handlers<Addi, FloatLoad<DoubleFormat>, TDispatch>.Plain)];

    private static HandlerPair[] AfterFloatLoad() =>
    [
        new(&Handlers<Nothing, FloatLoad<DoubleFormat>, TDispatch>.Plain, &Handlers<FloatLoad<DoubleFormat>, FloatLoad<DoubleFormat>, TDispatch>.Plain),
        new(&Handlers<Nothing, Addi, TDispatch>.Plain, &Handlers<FloatLoad<DoubleFormat>, Addi, TDispatch>.Plain),
    ];

    private static HandlerPair[] AfterFloatStore() => [new(&Handlers<Nothing, Addi, TDispatch>.Plain, &Handlers<FloatStore<DoubleFormat>, Addi, TDispatch>.Plain)];
}
