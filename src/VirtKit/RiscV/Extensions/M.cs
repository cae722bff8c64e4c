using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Integer multiplication and division (RV-Unpriv §13).</summary>
internal static unsafe class M
{
    public static InstructionGroup Group => new("M", &AddTo, 0x33, 0x3b);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §13.1");
        set.Add(Encoding.R("mul", 0x33, 0, 0x01), &Choose<RegisterRegister<Product>>);
        set.Add(Encoding.R("mulh", 0x33, 1, 0x01, InstructionForm.Complex), &Choose<RegisterRegister<HighProduct<Signed>>>);
        set.Add(Encoding.R("mulhsu", 0x33, 2, 0x01, InstructionForm.Complex), &Choose<RegisterRegister<HighProduct<Mixed>>>);
        set.Add(Encoding.R("mulhu", 0x33, 3, 0x01, InstructionForm.Complex), &Choose<RegisterRegister<HighProduct<Unsigned>>>);
        set.Add(Encoding.R("mulw", 0x3b, 0, 0x01), &Choose<RegisterRegister<Word<Product>>>);

        set.Section("RV-Unpriv §13.2");
        set.Add(Encoding.R("div", 0x33, 4, 0x01), &Choose<RegisterRegister<Quotient<Signed, N64>>>);
        set.Add(Encoding.R("divu", 0x33, 5, 0x01), &Choose<RegisterRegister<Quotient<Unsigned, N64>>>);
        set.Add(Encoding.R("rem", 0x33, 6, 0x01), &Choose<RegisterRegister<Remainder<Signed, N64>>>);
        set.Add(Encoding.R("remu", 0x33, 7, 0x01), &Choose<RegisterRegister<Remainder<Unsigned, N64>>>);
        set.Add(Encoding.R("divw", 0x3b, 4, 0x01), &Choose<RegisterRegister<Quotient<Signed, N32>>>);
        set.Add(Encoding.R("divuw", 0x3b, 5, 0x01), &Choose<RegisterRegister<Quotient<Unsigned, N32>>>);
        set.Add(Encoding.R("remw", 0x3b, 6, 0x01), &Choose<RegisterRegister<Remainder<Signed, N32>>>);
        set.Add(Encoding.R("remuw", 0x3b, 7, 0x01), &Choose<RegisterRegister<Remainder<Unsigned, N32>>>);
    }
}

/// <summary>The low half of the product.</summary>
internal readonly struct Product : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Mul(x, y);
}

/// <summary>The high half of the product.</summary>
internal readonly struct HighProduct<S> : IBinaryOperation where S : struct, IConstant<Signedness>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.MulHigh(S.Value, x, y);
}

/// <summary>The quotient of the low N bits, sign-extended.</summary>
internal readonly struct Quotient<S, N> : IBinaryOperation where S : struct, IConstant<Signedness> where N : struct, IConstant<int>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Divide(DivisionPart.Quotient, S.Value, N.Value, x, y);
}

/// <summary>The remainder of the low N bits, sign-extended.</summary>
internal readonly struct Remainder<S, N> : IBinaryOperation where S : struct, IConstant<Signedness> where N : struct, IConstant<int>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Divide(DivisionPart.Remainder, S.Value, N.Value, x, y);
}
