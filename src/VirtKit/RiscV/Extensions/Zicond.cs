using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Integer conditional operations (RV-Unpriv §12).</summary>
internal static unsafe class Zicond
{
    public static InstructionGroup Group => new(&AddTo, 0x33);

    private static void AddTo(InstructionSet set)
    {
        set.Add(CzeroEqz.Encoding, &InstructionSet.Choose<CzeroEqz>);
        set.Add(CzeroNez.Encoding, &InstructionSet.Choose<CzeroNez>);
    }
}

/// <summary>rd = rs1, or 0 where rs2 is 0.</summary>
internal readonly struct CzeroEqz : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("czero.eqz", InstructionFormat.R, 0x33, 5, 0x07);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Select(b.Read(o.Rs2), b.Read(o.Rs1), b.Constant(0)));
}

/// <summary>rd = rs1, or 0 where rs2 is not 0.</summary>
internal readonly struct CzeroNez : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("czero.nez", InstructionFormat.R, 0x33, 7, 0x07);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Select(b.Read(o.Rs2), b.Constant(0), b.Read(o.Rs1)));
}
