using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Address generation (RV-Unpriv §28.4.1).</summary>
internal static unsafe class Zba
{
    public static InstructionGroup Group => new("Zba", &AddTo, 0x1b, 0x33, 0x3b);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §28.4.1");
        set.Add(Encoding.R("add.uw", 0x3b, 0, 0x04), &Choose<RegisterRegister<OfUnsignedWord<Sum>>>);
        set.Add(Encoding.R("sh1add", 0x33, 2, 0x10), &Choose<RegisterRegister<ShiftAndAdd<N1>>>);
        set.Add(Encoding.R("sh1add.uw", 0x3b, 2, 0x10), &Choose<RegisterRegister<OfUnsignedWord<ShiftAndAdd<N1>>>>);
        set.Add(Encoding.R("sh2add", 0x33, 4, 0x10), &Choose<RegisterRegister<ShiftAndAdd<N2>>>);
        set.Add(Encoding.R("sh2add.uw", 0x3b, 4, 0x10), &Choose<RegisterRegister<OfUnsignedWord<ShiftAndAdd<N2>>>>);
        set.Add(Encoding.R("sh3add", 0x33, 6, 0x10), &Choose<RegisterRegister<ShiftAndAdd<N3>>>);
        set.Add(Encoding.R("sh3add.uw", 0x3b, 6, 0x10), &Choose<RegisterRegister<OfUnsignedWord<ShiftAndAdd<N3>>>>);
        set.Add(Encoding.Shift("slli.uw", 0x1b, 1, 0x02), &Choose<RegisterImmediate<OfUnsignedWord<ShiftLeft>>>);
    }
}

/// <summary>y + (x &lt;&lt; N).</summary>
internal readonly struct ShiftAndAdd<N> : IBinaryOperation where N : struct, IConstant<int>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Add(y, b.ShiftLeft(x, b.Constant((ulong)N.Value)));
}
