using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>What the instructions of <see cref="FD"/> differ in by format. The fmt field is the number of <see cref="Format"/> (RV-Unpriv §20.5).</summary>
internal interface IFloatFormat
{
    static abstract FloatFormat Format { get; }

    static abstract string Suffix { get; }

    static abstract int Bits { get; }

    static abstract MemoryWidth Width { get; }

    /// <summary>The register's bits for a value of this format: a single is NaN-boxed (RV-Unpriv §21.2).</summary>
    static abstract V Box<B, V>(ref B b, V value) where B : struct, IBackend<V>, allows ref struct where V : struct;
}

internal readonly struct SingleFormat : IFloatFormat
{
    public static FloatFormat Format => FloatFormat.BoxedSingle;

    public static string Suffix => ".s";

    public static int Bits => 32;

    public static MemoryWidth Width => MemoryWidth.Word;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IFloatFormat.Box<B, V>(ref B b, V value) => b.Or(value, b.Constant(FloatFormats.AboveBoxed));
}

internal readonly struct DoubleFormat : IFloatFormat
{
    public static FloatFormat Format => FloatFormat.Double;

    public static string Suffix => ".d";

    public static int Bits => 64;

    public static MemoryWidth Width => MemoryWidth.Double;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IFloatFormat.Box<B, V>(ref B b, V value) => value;
}

internal readonly struct FAdd : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Add; }
internal readonly struct FSub : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Subtract; }
internal readonly struct FMul : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Multiply; }
internal readonly struct FDiv : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Divide; }
internal readonly struct FSqrt : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.SquareRoot; }
internal readonly struct FMadd : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.MultiplyAdd; }
internal readonly struct FMsub : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.MultiplySubtract; }
internal readonly struct FNmsub : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.NegatedMultiplySubtract; }
internal readonly struct FNmadd : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.NegatedMultiplyAdd; }
internal readonly struct FMin : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Minimum; }
internal readonly struct FMax : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Maximum; }
internal readonly struct FSgnj : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.SignCopy; }
internal readonly struct FSgnjn : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.SignNegate; }
internal readonly struct FSgnjx : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.SignXor; }
internal readonly struct FEq : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Equal; }
internal readonly struct FLt : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Less; }
internal readonly struct FLe : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.LessOrEqual; }
internal readonly struct FNarrow : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.Convert; }
internal readonly struct FWiden : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.ConvertBoxed; }
internal readonly struct FToW : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.ToInt32; }
internal readonly struct FToWu : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.ToUInt32; }
internal readonly struct FToL : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.ToInt64; }
internal readonly struct FToLu : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.ToUInt64; }
internal readonly struct FFromW : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.FromInt32; }
internal readonly struct FFromWu : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.FromUInt32; }
internal readonly struct FFromL : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.FromInt64; }
internal readonly struct FFromLu : IConstant<FloatOperation> { public static FloatOperation Value => FloatOperation.FromUInt64; }
