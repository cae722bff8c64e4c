using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Single-bit instructions (RV-Unpriv §28.4.4).</summary>
internal static unsafe class Zbs
{
    public static InstructionGroup Group => new("Zbs", &AddTo, 0x13, 0x33);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §28.4.4");
        set.Add(Encoding.R("bclr", 0x33, 1, 0x24), &Choose<RegisterRegister<ClearBit>>);
        set.Add(Encoding.Shift("bclri", 0x13, 1, 0x12), &Choose<RegisterImmediate<ClearBit>>);
        set.Add(Encoding.R("bext", 0x33, 5, 0x24), &Choose<RegisterRegister<ExtractBit>>);
        set.Add(Encoding.Shift("bexti", 0x13, 5, 0x12), &Choose<RegisterImmediate<ExtractBit>>);
        set.Add(Encoding.R("binv", 0x33, 1, 0x34), &Choose<RegisterRegister<InvertBit>>);
        set.Add(Encoding.Shift("binvi", 0x13, 1, 0x1a), &Choose<RegisterImmediate<InvertBit>>);
        set.Add(Encoding.R("bset", 0x33, 1, 0x14), &Choose<RegisterRegister<SetBit>>);
        set.Add(Encoding.Shift("bseti", 0x13, 1, 0x0a), &Choose<RegisterImmediate<SetBit>>);
    }
}

internal readonly struct ClearBit : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.And(x, b.Not(b.ShiftLeft(b.Constant(1), y)));
}

internal readonly struct ExtractBit : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.And(b.ShiftRightLogical(x, y), b.Constant(1));
}

internal readonly struct InvertBit : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Xor(x, b.ShiftLeft(b.Constant(1), y));
}

internal readonly struct SetBit : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Or(x, b.ShiftLeft(b.Constant(1), y));
}
