using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Address generation (RV-Unpriv §28.2).</summary>
internal static unsafe class Zba
{
    public static InstructionGroup Group => new(&AddTo, 0x1b, 0x33, 0x3b);

    private static void AddTo(InstructionSet set)
    {
        set.Add(AddUw.Encoding, &InstructionSet.Choose<AddUw>);
        set.Add(Sh1add.Encoding, &InstructionSet.Choose<Sh1add>);
        set.Add(Sh1addUw.Encoding, &InstructionSet.Choose<Sh1addUw>);
        set.Add(Sh2add.Encoding, &InstructionSet.Choose<Sh2add>);
        set.Add(Sh2addUw.Encoding, &InstructionSet.Choose<Sh2addUw>);
        set.Add(Sh3add.Encoding, &InstructionSet.Choose<Sh3add>);
        set.Add(Sh3addUw.Encoding, &InstructionSet.Choose<Sh3addUw>);
        set.Add(SlliUw.Encoding, &InstructionSet.Choose<SlliUw>);
    }
}

/// <summary>rd = rs2 + the low word of rs1.</summary>
internal readonly struct AddUw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("add.uw", InstructionFormat.R, 0x3b, 0, 0x04);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs2), b.ZeroExtend(b.Read(o.Rs1), 32)));
}

/// <summary>rd = rs2 + (rs1 &lt;&lt; 1).</summary>
internal readonly struct Sh1add : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sh1add", InstructionFormat.R, 0x33, 2, 0x10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs2), b.ShiftLeft(b.Read(o.Rs1), b.Constant(1))));
}

/// <summary>rd = rs2 + (the low word of rs1 &lt;&lt; 1).</summary>
internal readonly struct Sh1addUw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sh1add.uw", InstructionFormat.R, 0x3b, 2, 0x10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs2), b.ShiftLeft(b.ZeroExtend(b.Read(o.Rs1), 32), b.Constant(1))));
}

/// <summary>rd = rs2 + (rs1 &lt;&lt; 2).</summary>
internal readonly struct Sh2add : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sh2add", InstructionFormat.R, 0x33, 4, 0x10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs2), b.ShiftLeft(b.Read(o.Rs1), b.Constant(2))));
}

/// <summary>rd = rs2 + (the low word of rs1 &lt;&lt; 2).</summary>
internal readonly struct Sh2addUw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sh2add.uw", InstructionFormat.R, 0x3b, 4, 0x10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs2), b.ShiftLeft(b.ZeroExtend(b.Read(o.Rs1), 32), b.Constant(2))));
}

/// <summary>rd = rs2 + (rs1 &lt;&lt; 3).</summary>
internal readonly struct Sh3add : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sh3add", InstructionFormat.R, 0x33, 6, 0x10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs2), b.ShiftLeft(b.Read(o.Rs1), b.Constant(3))));
}

/// <summary>rd = rs2 + (the low word of rs1 &lt;&lt; 3).</summary>
internal readonly struct Sh3addUw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sh3add.uw", InstructionFormat.R, 0x3b, 6, 0x10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs2), b.ShiftLeft(b.ZeroExtend(b.Read(o.Rs1), 32), b.Constant(3))));
}

/// <summary>rd = the low word of rs1 &lt;&lt; shamt.</summary>
internal readonly struct SlliUw : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("slli.uw", InstructionFormat.Shift, 0x1b, 1, 0x02);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftLeft(b.ZeroExtend(b.Read(o.Rs1), 32), b.Constant((ulong)o.Imm)));
}
