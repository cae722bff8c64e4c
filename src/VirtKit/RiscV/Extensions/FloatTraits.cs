using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>What the instructions of <see cref="FD"/> differ in by format.</summary>
internal interface IFloatFormat
{
    static abstract FloatFormat Format { get; }

    static abstract string Suffix { get; }

    static abstract string OtherSuffix { get; }

    static abstract string WidthSuffix { get; }

    /// <summary>The fmt field.</summary>
    static abstract uint Fmt { get; }

    static abstract uint WidthFunct3 { get; }

    static abstract int Bits { get; }

    static abstract MemoryWidth Width { get; }

    /// <summary>The register's bits for a value of this format: a single is NaN-boxed (RV-Unpriv §21.2).</summary>
    static abstract V Box<B, V>(ref B b, V value) where B : struct, IBackend<V>, allows ref struct where V : struct;
}

internal readonly struct SingleFormat : IFloatFormat
{
    public static FloatFormat Format => FloatFormat.Single;

    public static string Suffix => ".s";

    public static string OtherSuffix => ".d";

    public static string WidthSuffix => "w";

    public static uint Fmt => 0;

    public static uint WidthFunct3 => 2;

    public static int Bits => 32;

    public static MemoryWidth Width => MemoryWidth.Word;

    public static V Box<B, V>(ref B b, V value) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Or(value, b.Constant(0xffffffff_00000000));
}

internal readonly struct DoubleFormat : IFloatFormat
{
    public static FloatFormat Format => FloatFormat.Double;

    public static string Suffix => ".d";

    public static string OtherSuffix => ".s";

    public static string WidthSuffix => "d";

    public static uint Fmt => 1;

    public static uint WidthFunct3 => 3;

    public static int Bits => 64;

    public static MemoryWidth Width => MemoryWidth.Double;

    public static V Box<B, V>(ref B b, V value) where B : struct, IBackend<V>, allows ref struct where V : struct => value;
}

/// <summary>What the instructions of <see cref="FD"/> differ in by operation.</summary>
internal interface IFloatOperation
{
    static abstract string Name { get; }

    static abstract FloatOperation Operation { get; }

    /// <summary>funct5, or the major opcode of a fused multiply-add.</summary>
    static abstract uint Funct5 { get; }

    static abstract uint Funct3 { get; }
}

internal readonly struct FAdd : IFloatOperation
{
    public static string Name => "fadd";

    public static FloatOperation Operation => FloatOperation.Add;

    public static uint Funct5 => 0x00;

    public static uint Funct3 => 0;
}

internal readonly struct FSub : IFloatOperation
{
    public static string Name => "fsub";

    public static FloatOperation Operation => FloatOperation.Subtract;

    public static uint Funct5 => 0x01;

    public static uint Funct3 => 0;
}

internal readonly struct FMul : IFloatOperation
{
    public static string Name => "fmul";

    public static FloatOperation Operation => FloatOperation.Multiply;

    public static uint Funct5 => 0x02;

    public static uint Funct3 => 0;
}

internal readonly struct FDiv : IFloatOperation
{
    public static string Name => "fdiv";

    public static FloatOperation Operation => FloatOperation.Divide;

    public static uint Funct5 => 0x03;

    public static uint Funct3 => 0;
}

internal readonly struct FMadd : IFloatOperation
{
    public static string Name => "fmadd";

    public static FloatOperation Operation => FloatOperation.MultiplyAdd;

    public static uint Funct5 => 0x43;

    public static uint Funct3 => 0;
}

internal readonly struct FMsub : IFloatOperation
{
    public static string Name => "fmsub";

    public static FloatOperation Operation => FloatOperation.MultiplySubtract;

    public static uint Funct5 => 0x47;

    public static uint Funct3 => 0;
}

internal readonly struct FNmsub : IFloatOperation
{
    public static string Name => "fnmsub";

    public static FloatOperation Operation => FloatOperation.NegatedMultiplySubtract;

    public static uint Funct5 => 0x4b;

    public static uint Funct3 => 0;
}

internal readonly struct FNmadd : IFloatOperation
{
    public static string Name => "fnmadd";

    public static FloatOperation Operation => FloatOperation.NegatedMultiplyAdd;

    public static uint Funct5 => 0x4f;

    public static uint Funct3 => 0;
}

internal readonly struct FSgnj : IFloatOperation
{
    public static string Name => "fsgnj";

    public static FloatOperation Operation => FloatOperation.SignCopy;

    public static uint Funct5 => 0x04;

    public static uint Funct3 => 0;
}

internal readonly struct FSgnjn : IFloatOperation
{
    public static string Name => "fsgnjn";

    public static FloatOperation Operation => FloatOperation.SignNegate;

    public static uint Funct5 => 0x04;

    public static uint Funct3 => 1;
}

internal readonly struct FSgnjx : IFloatOperation
{
    public static string Name => "fsgnjx";

    public static FloatOperation Operation => FloatOperation.SignXor;

    public static uint Funct5 => 0x04;

    public static uint Funct3 => 2;
}

internal readonly struct FMin : IFloatOperation
{
    public static string Name => "fmin";

    public static FloatOperation Operation => FloatOperation.Minimum;

    public static uint Funct5 => 0x05;

    public static uint Funct3 => 0;
}

internal readonly struct FMax : IFloatOperation
{
    public static string Name => "fmax";

    public static FloatOperation Operation => FloatOperation.Maximum;

    public static uint Funct5 => 0x05;

    public static uint Funct3 => 1;
}

internal readonly struct FEq : IFloatOperation
{
    public static string Name => "feq";

    public static FloatOperation Operation => FloatOperation.Equal;

    public static uint Funct5 => 0x14;

    public static uint Funct3 => 2;
}

internal readonly struct FLt : IFloatOperation
{
    public static string Name => "flt";

    public static FloatOperation Operation => FloatOperation.Less;

    public static uint Funct5 => 0x14;

    public static uint Funct3 => 1;
}

internal readonly struct FLe : IFloatOperation
{
    public static string Name => "fle";

    public static FloatOperation Operation => FloatOperation.LessOrEqual;

    public static uint Funct5 => 0x14;

    public static uint Funct3 => 0;
}

/// <summary>What conversions differ in by integer type.</summary>
internal interface IIntegerFormat
{
    static abstract string Suffix { get; }

    /// <summary>The rs2 field.</summary>
    static abstract uint Selector { get; }

    static abstract FloatOperation To { get; }

    static abstract FloatOperation From { get; }
}

internal readonly struct IntegerW : IIntegerFormat
{
    public static string Suffix => ".w";

    public static uint Selector => 0;

    public static FloatOperation To => FloatOperation.ToInt32;

    public static FloatOperation From => FloatOperation.FromInt32;
}

internal readonly struct IntegerWu : IIntegerFormat
{
    public static string Suffix => ".wu";

    public static uint Selector => 1;

    public static FloatOperation To => FloatOperation.ToUInt32;

    public static FloatOperation From => FloatOperation.FromUInt32;
}

internal readonly struct IntegerL : IIntegerFormat
{
    public static string Suffix => ".l";

    public static uint Selector => 2;

    public static FloatOperation To => FloatOperation.ToInt64;

    public static FloatOperation From => FloatOperation.FromInt64;
}

internal readonly struct IntegerLu : IIntegerFormat
{
    public static string Suffix => ".lu";

    public static uint Selector => 3;

    public static FloatOperation To => FloatOperation.ToUInt64;

    public static FloatOperation From => FloatOperation.FromUInt64;
}
