using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Basic bit manipulation (RV-Unpriv §28.4.2).</summary>
internal static unsafe class Zbb
{
    public static InstructionGroup Group => new("Zbb", &AddTo, 0x13, 0x1b, 0x33, 0x3b);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §28.4.2.1");
        set.Add(Encoding.R("andn", 0x33, 7, 0x20), &Choose<RegisterRegister<AndNot>>);
        set.Add(Encoding.R("orn", 0x33, 6, 0x20), &Choose<RegisterRegister<OrNot>>);
        set.Add(Encoding.R("xnor", 0x33, 4, 0x20), &Choose<RegisterRegister<NotXor>>);

        set.Section("RV-Unpriv §28.4.2.2");
        set.Add(Encoding.Unary("clz", 0x13, 1, 0x600), &Choose<Unary<Count<LeadingZeros, N64>>>);
        set.Add(Encoding.Unary("ctz", 0x13, 1, 0x601), &Choose<Unary<Count<TrailingZeros, N64>>>);
        set.Add(Encoding.Unary("clzw", 0x1b, 1, 0x600), &Choose<Unary<Count<LeadingZeros, N32>>>);
        set.Add(Encoding.Unary("ctzw", 0x1b, 1, 0x601), &Choose<Unary<Count<TrailingZeros, N32>>>);

        set.Section("RV-Unpriv §28.4.2.3");
        set.Add(Encoding.Unary("cpop", 0x13, 1, 0x602), &Choose<Unary<Count<Ones, N64>>>);
        set.Add(Encoding.Unary("cpopw", 0x1b, 1, 0x602), &Choose<Unary<Count<Ones, N32>>>);

        set.Section("RV-Unpriv §28.4.2.4");
        set.Add(Encoding.R("min", 0x33, 4, 0x05), &Choose<RegisterRegister<FirstWhere<Less>>>);
        set.Add(Encoding.R("minu", 0x33, 5, 0x05), &Choose<RegisterRegister<FirstWhere<LessUnsigned>>>);
        set.Add(Encoding.R("max", 0x33, 6, 0x05), &Choose<RegisterRegister<FirstWhere<GreaterOrEqual>>>);
        set.Add(Encoding.R("maxu", 0x33, 7, 0x05), &Choose<RegisterRegister<FirstWhere<GreaterOrEqualUnsigned>>>);

        set.Section("RV-Unpriv §28.4.2.5");
        set.Add(Encoding.Unary("sext.b", 0x13, 1, 0x604), &Choose<Unary<SignExtend<N8>>>);
        set.Add(Encoding.Unary("sext.h", 0x13, 1, 0x605), &Choose<Unary<SignExtend<N16>>>);
        set.Add(Encoding.Unary("zext.h", 0x3b, 4, 0x080), &Choose<Unary<ZeroExtend<N16>>>);

        set.Section("RV-Unpriv §28.4.2.6");
        set.Add(Encoding.R("rol", 0x33, 1, 0x30), &Choose<RegisterRegister<ByNegative<RotateRight>>>);
        set.Add(Encoding.R("ror", 0x33, 5, 0x30), &Choose<RegisterRegister<RotateRight>>);
        set.Add(Encoding.Shift("rori", 0x13, 5, 0x18), &Choose<RegisterImmediate<RotateRight>>);
        set.Add(Encoding.R("rolw", 0x3b, 1, 0x30), &Choose<RegisterRegister<ByNegative<RotateRightWord>>>);
        set.Add(Encoding.R("rorw", 0x3b, 5, 0x30), &Choose<RegisterRegister<RotateRightWord>>);
        set.Add(Encoding.ShiftWord("roriw", 0x1b, 5, 0x30), &Choose<RegisterImmediate<RotateRightWord>>);

        set.Section("RV-Unpriv §28.4.2.7");
        set.Add(Encoding.Unary("orc.b", 0x13, 5, 0x287), &Choose<Unary<OrCombine>>);

        set.Section("RV-Unpriv §28.4.2.8");
        set.Add(Encoding.Unary("rev8", 0x13, 5, 0x6b8), &Choose<Unary<ReverseBytes>>);
    }
}

internal readonly struct AndNot : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.And(x, b.Not(y));
}

internal readonly struct OrNot : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Or(x, b.Not(y));
}

internal readonly struct NotXor : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Not(b.Xor(x, y));
}

/// <summary>x where the operands compare so, otherwise y.</summary>
internal readonly struct FirstWhere<C> : IBinaryOperation where C : struct, IConstant<Comparison>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Select(b.Compare(C.Value, x, y), x, y);
}

internal readonly struct RotateRight : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.RotateRight(x, y);
}

/// <summary>The low word rotated, sign-extended.</summary>
internal readonly struct RotateRightWord : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.RotateRight32(x, y);
}

/// <summary>With the second operand negated: to the right by -y is to the left by y.</summary>
internal readonly struct ByNegative<O> : IBinaryOperation where O : struct, IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => O.Apply(ref b, x, b.Sub(b.Constant(0), y));
}

/// <summary>The number of bits of a kind among the low N bits.</summary>
internal readonly struct Count<C, N> : IUnaryOperation where C : struct, IConstant<BitCount> where N : struct, IConstant<int>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IUnaryOperation.Apply<B, V>(ref B b, V x) => b.Count(C.Value, N.Value, x);
}

internal readonly struct SignExtend<N> : IUnaryOperation where N : struct, IConstant<int>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IUnaryOperation.Apply<B, V>(ref B b, V x) => b.SignExtend(x, N.Value);
}

internal readonly struct ZeroExtend<N> : IUnaryOperation where N : struct, IConstant<int>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IUnaryOperation.Apply<B, V>(ref B b, V x) => b.ZeroExtend(x, N.Value);
}

/// <summary>Each byte that is not 0 as all ones.</summary>
internal readonly struct OrCombine : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IUnaryOperation.Apply<B, V>(ref B b, V x) => b.OrCombine(x);
}

internal readonly struct ReverseBytes : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IUnaryOperation.Apply<B, V>(ref B b, V x) => b.ReverseBytes(x);
}
