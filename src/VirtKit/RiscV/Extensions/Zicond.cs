using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Integer conditional operations (RV-Unpriv §12).</summary>
internal static unsafe class Zicond
{
    public static InstructionGroup Group => new("Zicond", &AddTo, 0x33);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §12.3");
        set.Add(Encoding.R("czero.eqz", 0x33, 5, 0x07), &Choose<RegisterRegister<ZeroWhereZero>>);
        set.Add(Encoding.R("czero.nez", 0x33, 7, 0x07), &Choose<RegisterRegister<ZeroWhereNotZero>>);
    }
}

/// <summary>x, or 0 where y is 0.</summary>
internal readonly struct ZeroWhereZero : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Select(y, x, b.Constant(0));
}

/// <summary>x, or 0 where y is not 0.</summary>
internal readonly struct ZeroWhereNotZero : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Select(y, b.Constant(0), x);
}
