using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Integer multiplication and division (RV-Unpriv §13).</summary>
internal static unsafe class M
{
    public static InstructionGroup Group => new(&AddTo, 0x33, 0x3b);

    private static void AddTo(InstructionSet set)
    {
        set.Add(Mul.Encoding, &InstructionSet.Choose<Mul>);
        set.Add(Mulh.Encoding, &InstructionSet.Choose<Mulh>);
        set.Add(Mulhsu.Encoding, &InstructionSet.Choose<Mulhsu>);
        set.Add(Mulhu.Encoding, &InstructionSet.Choose<Mulhu>);
        set.Add(Div.Encoding, &InstructionSet.Choose<Div>);
        set.Add(Divu.Encoding, &InstructionSet.Choose<Divu>);
        set.Add(Rem.Encoding, &InstructionSet.Choose<Rem>);
        set.Add(Remu.Encoding, &InstructionSet.Choose<Remu>);
        set.Add(Mulw.Encoding, &InstructionSet.Choose<Mulw>);
        set.Add(Divw.Encoding, &InstructionSet.Choose<Divw>);
        set.Add(Divuw.Encoding, &InstructionSet.Choose<Divuw>);
        set.Add(Remw.Encoding, &InstructionSet.Choose<Remw>);
        set.Add(Remuw.Encoding, &InstructionSet.Choose<Remuw>);
    }
}

/// <summary>rd = the low half of rs1 * rs2.</summary>
internal readonly struct Mul : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("mul", InstructionFormat.R, 0x33, 0, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Mul(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = the high half of rs1 * rs2.</summary>
internal readonly struct Mulh : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("mulh", InstructionFormat.R, 0x33, 1, 0x01, InstructionForm.Complex);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.MulHigh(Signedness.Signed, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = the high half of signed rs1 * unsigned rs2.</summary>
internal readonly struct Mulhsu : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("mulhsu", InstructionFormat.R, 0x33, 2, 0x01, InstructionForm.Complex);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.MulHigh(Signedness.Mixed, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = the high half of unsigned rs1 * rs2.</summary>
internal readonly struct Mulhu : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("mulhu", InstructionFormat.R, 0x33, 3, 0x01, InstructionForm.Complex);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.MulHigh(Signedness.Unsigned, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 / rs2.</summary>
internal readonly struct Div : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("div", InstructionFormat.R, 0x33, 4, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Divide(DivisionPart.Quotient, Signedness.Signed, 64, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 / rs2, unsigned.</summary>
internal readonly struct Divu : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("divu", InstructionFormat.R, 0x33, 5, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Divide(DivisionPart.Quotient, Signedness.Unsigned, 64, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 % rs2.</summary>
internal readonly struct Rem : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("rem", InstructionFormat.R, 0x33, 6, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Divide(DivisionPart.Remainder, Signedness.Signed, 64, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 % rs2, unsigned.</summary>
internal readonly struct Remu : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("remu", InstructionFormat.R, 0x33, 7, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Divide(DivisionPart.Remainder, Signedness.Unsigned, 64, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 * rs2 on 32 bits.</summary>
internal readonly struct Mulw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("mulw", InstructionFormat.R, 0x3b, 0, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.Mul(b.Read(o.Rs1), b.Read(o.Rs2)), 32));
}

/// <summary>rd = rs1 / rs2 on 32 bits.</summary>
internal readonly struct Divw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("divw", InstructionFormat.R, 0x3b, 4, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Divide(DivisionPart.Quotient, Signedness.Signed, 32, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 / rs2, unsigned, on 32 bits.</summary>
internal readonly struct Divuw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("divuw", InstructionFormat.R, 0x3b, 5, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Divide(DivisionPart.Quotient, Signedness.Unsigned, 32, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 % rs2 on 32 bits.</summary>
internal readonly struct Remw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("remw", InstructionFormat.R, 0x3b, 6, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Divide(DivisionPart.Remainder, Signedness.Signed, 32, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 % rs2, unsigned, on 32 bits.</summary>
internal readonly struct Remuw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("remuw", InstructionFormat.R, 0x3b, 7, 0x01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Divide(DivisionPart.Remainder, Signedness.Unsigned, 32, b.Read(o.Rs1), b.Read(o.Rs2)));
}
