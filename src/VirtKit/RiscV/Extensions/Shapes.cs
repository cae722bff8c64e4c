using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>An operation on two values, from which the shapes make instructions. In a struct without fields, as an instruction.</summary>
internal interface IBinaryOperation
{
    static abstract V Apply<B, V>(ref B b, V x, V y) where B : struct, IBackend<V>, allows ref struct where V : struct;
}

/// <summary>An operation on one value.</summary>
internal interface IUnaryOperation
{
    static abstract V Apply<B, V>(ref B b, V x) where B : struct, IBackend<V>, allows ref struct where V : struct;
}

/// <summary>rd = rs1 op rs2.</summary>
internal readonly struct RegisterRegister<O> : IInstruction where O : struct, IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Write(o.Rd, O.Apply<B, V>(ref b, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 op imm, or a shift amount.</summary>
internal readonly struct RegisterImmediate<O> : IInstruction where O : struct, IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Write(o.Rd, O.Apply<B, V>(ref b, b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = op rs1.</summary>
internal readonly struct Unary<O> : IInstruction where O : struct, IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Write(o.Rd, O.Apply<B, V>(ref b, b.Read(o.Rs1)));
}

/// <summary>rd = memory at rs1 + imm.</summary>
internal readonly struct Load<W> : IInstruction where W : struct, IConstant<MemoryWidth>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Load(W.Value, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value) && b.Write(o.Rd, value);
}

/// <summary>Memory at rs1 + imm = rs2.</summary>
internal readonly struct Store<W> : IInstruction where W : struct, IConstant<MemoryWidth>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Store(W.Value, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(o.Rs2));
}

/// <summary>Branches where rs1 and rs2 compare so.</summary>
internal readonly struct Branch<C> : IInstruction where C : struct, IConstant<Comparison>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Branch(C.Value, b.Read(o.Rs1), b.Read(o.Rs2), o.Imm);
}

/// <summary>The low word of the result, sign-extended.</summary>
internal readonly struct Word<O> : IBinaryOperation where O : struct, IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.SignExtend(O.Apply<B, V>(ref b, x, y), 32);
}

/// <summary>With the low word of the first operand, sign-extended.</summary>
internal readonly struct OfWord<O> : IBinaryOperation where O : struct, IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => O.Apply(ref b, b.SignExtend(x, 32), y);
}

/// <summary>With the low word of the first operand, zero-extended.</summary>
internal readonly struct OfUnsignedWord<O> : IBinaryOperation where O : struct, IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => O.Apply(ref b, b.ZeroExtend(x, 32), y);
}

/// <summary>With the low five bits of the second operand.</summary>
internal readonly struct ByFiveBits<O> : IBinaryOperation where O : struct, IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => O.Apply(ref b, x, b.And(y, b.Constant(31)));
}
