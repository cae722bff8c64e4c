using VirtKit.RiscV;
using VirtKit.RiscV.Extensions;

namespace VirtKit.Interpreter;

/// <summary>Sees the pairs of instructions that one handler does.</summary>
internal interface IInstructionPairVisitor
{
    void Visit<TFirst, TSecond>() where TFirst : struct, IInstruction where TSecond : struct, IInstruction;
}

/// <summary>The pairs of neighbours for which a handler of their own is made. Their meanings are their definitions'; only the dispatch between them is saved.</summary>
/// <remarks>The instructions are those that make up nine tenths of what integer workloads and a booting kernel retire. Compilers make a handler only when a pair
/// is first run, but an ahead-of-time compiler makes them all, so the list is not longer than it has to be.</remarks>
internal static class FusedPairs
{
    public static void Visit(IInstructionPairVisitor visitor)
    {
        VisitAfter<Addi>(visitor);
        VisitAfter<Add>(visitor);
        VisitAfter<Ld>(visitor);
        VisitAfter<Slli>(visitor);
        VisitAfter<Sd>(visitor);
        VisitAfter<Lbu>(visitor);
        VisitAfter<Lw>(visitor);
        VisitAfter<Addiw>(visitor);
        VisitAfter<Xor>(visitor);
        VisitAfter<Andi>(visitor);
        VisitAfter<Srli>(visitor);
        VisitAfter<Srliw>(visitor);
        VisitAfter<Lwu>(visitor);
        VisitAfter<Or>(visitor);
        VisitAfter<And>(visitor);
        VisitAfter<Mul>(visitor);
        VisitAfter<Sub>(visitor);
        VisitAfter<Sw>(visitor);
        VisitAfter<Sb>(visitor);
        VisitAfter<Slliw>(visitor);
        VisitAfter<Addw>(visitor);
        VisitAfter<Lui>(visitor);
        VisitFloat(visitor);
    }

    private static void VisitAfter<TFirst>(IInstructionPairVisitor visitor) where TFirst : struct, IInstruction
    {
        visitor.Visit<TFirst, Addi>();
        visitor.Visit<TFirst, Add>();
        visitor.Visit<TFirst, Ld>();
        visitor.Visit<TFirst, Slli>();
        visitor.Visit<TFirst, Sd>();
        visitor.Visit<TFirst, Lbu>();
        visitor.Visit<TFirst, Lw>();
        visitor.Visit<TFirst, Addiw>();
        visitor.Visit<TFirst, Xor>();
        visitor.Visit<TFirst, Andi>();
        visitor.Visit<TFirst, Srli>();
        visitor.Visit<TFirst, Srliw>();
        visitor.Visit<TFirst, Lwu>();
        visitor.Visit<TFirst, Or>();
        visitor.Visit<TFirst, And>();
        visitor.Visit<TFirst, Mul>();
        visitor.Visit<TFirst, Sub>();
        visitor.Visit<TFirst, Sw>();
        visitor.Visit<TFirst, Sb>();
        visitor.Visit<TFirst, Slliw>();
        visitor.Visit<TFirst, Addw>();
        visitor.Visit<TFirst, Beq>();
        visitor.Visit<TFirst, Bne>();
        visitor.Visit<TFirst, Blt>();
        visitor.Visit<TFirst, Bge>();
        visitor.Visit<TFirst, Bltu>();
        visitor.Visit<TFirst, Bgeu>();
        visitor.Visit<TFirst, Jal>();
        visitor.Visit<TFirst, Jalr>();
    }

    /// <summary>What inner loops over arrays of doubles consist of beside the arithmetic, whose handlers are no leaves.</summary>
    private static void VisitFloat(IInstructionPairVisitor visitor)
    {
        visitor.Visit<FloatLoad<DoubleFormat>, FloatLoad<DoubleFormat>>();
        visitor.Visit<FloatLoad<DoubleFormat>, Addi>();
        visitor.Visit<Addi, FloatLoad<DoubleFormat>>();
        visitor.Visit<FloatStore<DoubleFormat>, Addi>();
    }
}
