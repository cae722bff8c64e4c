using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Basic bit manipulation (RV-Unpriv §28.3).</summary>
internal static unsafe class Zbb
{
    public static InstructionGroup Group => new(&AddTo, 0x13, 0x1b, 0x33, 0x3b);

    private static void AddTo(InstructionSet set)
    {
        set.Add(Andn.Encoding, &InstructionSet.Choose<Andn>);
        set.Add(Orn.Encoding, &InstructionSet.Choose<Orn>);
        set.Add(Xnor.Encoding, &InstructionSet.Choose<Xnor>);
        set.Add(Clz.Encoding, &InstructionSet.Choose<Clz>);
        set.Add(Ctz.Encoding, &InstructionSet.Choose<Ctz>);
        set.Add(Cpop.Encoding, &InstructionSet.Choose<Cpop>);
        set.Add(Clzw.Encoding, &InstructionSet.Choose<Clzw>);
        set.Add(Ctzw.Encoding, &InstructionSet.Choose<Ctzw>);
        set.Add(Cpopw.Encoding, &InstructionSet.Choose<Cpopw>);
        set.Add(SextB.Encoding, &InstructionSet.Choose<SextB>);
        set.Add(SextH.Encoding, &InstructionSet.Choose<SextH>);
        set.Add(ZextH.Encoding, &InstructionSet.Choose<ZextH>);
        set.Add(OrcB.Encoding, &InstructionSet.Choose<OrcB>);
        set.Add(Rev8.Encoding, &InstructionSet.Choose<Rev8>);
        set.Add(Min.Encoding, &InstructionSet.Choose<Min>);
        set.Add(Minu.Encoding, &InstructionSet.Choose<Minu>);
        set.Add(Max.Encoding, &InstructionSet.Choose<Max>);
        set.Add(Maxu.Encoding, &InstructionSet.Choose<Maxu>);
        set.Add(Rol.Encoding, &InstructionSet.Choose<Rol>);
        set.Add(Ror.Encoding, &InstructionSet.Choose<Ror>);
        set.Add(Rori.Encoding, &InstructionSet.Choose<Rori>);
        set.Add(Rolw.Encoding, &InstructionSet.Choose<Rolw>);
        set.Add(Rorw.Encoding, &InstructionSet.Choose<Rorw>);
        set.Add(Roriw.Encoding, &InstructionSet.Choose<Roriw>);
    }
}

/// <summary>rd = rs1 &amp; ~rs2.</summary>
internal readonly struct Andn : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("andn", InstructionFormat.R, 0x33, 7, 0x20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.And(b.Read(o.Rs1), b.Not(b.Read(o.Rs2))));
}

/// <summary>rd = rs1 | ~rs2.</summary>
internal readonly struct Orn : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("orn", InstructionFormat.R, 0x33, 6, 0x20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Or(b.Read(o.Rs1), b.Not(b.Read(o.Rs2))));
}

/// <summary>rd = ~(rs1 ^ rs2).</summary>
internal readonly struct Xnor : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("xnor", InstructionFormat.R, 0x33, 4, 0x20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Not(b.Xor(b.Read(o.Rs1), b.Read(o.Rs2))));
}

/// <summary>rd = the number of leading zeros.</summary>
internal readonly struct Clz : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("clz", InstructionFormat.Unary, 0x13, 1, 0x600);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Count(BitCount.LeadingZeros, 64, b.Read(o.Rs1)));
}

/// <summary>rd = the number of trailing zeros.</summary>
internal readonly struct Ctz : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("ctz", InstructionFormat.Unary, 0x13, 1, 0x601);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Count(BitCount.TrailingZeros, 64, b.Read(o.Rs1)));
}

/// <summary>rd = the number of ones.</summary>
internal readonly struct Cpop : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("cpop", InstructionFormat.Unary, 0x13, 1, 0x602);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Count(BitCount.Ones, 64, b.Read(o.Rs1)));
}

/// <summary>rd = the number of leading zeros of the low word.</summary>
internal readonly struct Clzw : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("clzw", InstructionFormat.Unary, 0x1b, 1, 0x600);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Count(BitCount.LeadingZeros, 32, b.Read(o.Rs1)));
}

/// <summary>rd = the number of trailing zeros of the low word.</summary>
internal readonly struct Ctzw : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("ctzw", InstructionFormat.Unary, 0x1b, 1, 0x601);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Count(BitCount.TrailingZeros, 32, b.Read(o.Rs1)));
}

/// <summary>rd = the number of ones of the low word.</summary>
internal readonly struct Cpopw : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("cpopw", InstructionFormat.Unary, 0x1b, 1, 0x602);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Count(BitCount.Ones, 32, b.Read(o.Rs1)));
}

/// <summary>rd = the low byte, sign-extended.</summary>
internal readonly struct SextB : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("sext.b", InstructionFormat.Unary, 0x13, 1, 0x604);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.Read(o.Rs1), 8));
}

/// <summary>rd = the low half word, sign-extended.</summary>
internal readonly struct SextH : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("sext.h", InstructionFormat.Unary, 0x13, 1, 0x605);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.Read(o.Rs1), 16));
}

/// <summary>rd = the low half word, zero-extended.</summary>
internal readonly struct ZextH : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("zext.h", InstructionFormat.Unary, 0x3b, 4, 0x080);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ZeroExtend(b.Read(o.Rs1), 16));
}

/// <summary>rd = each byte of rs1 that is not 0 as all ones.</summary>
internal readonly struct OrcB : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("orc.b", InstructionFormat.Unary, 0x13, 5, 0x287);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.OrCombine(b.Read(o.Rs1)));
}

/// <summary>rd = rs1 with its bytes reversed.</summary>
internal readonly struct Rev8 : IInstruction
{
    public static Encoding Encoding => Encoding.Of12("rev8", InstructionFormat.Unary, 0x13, 5, 0x6b8);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ReverseBytes(b.Read(o.Rs1)));
}

/// <summary>rd = the lesser of rs1 and rs2.</summary>
internal readonly struct Min : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("min", InstructionFormat.R, 0x33, 4, 0x05);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        V a = b.Read(o.Rs1), c = b.Read(o.Rs2);
        return b.Write(o.Rd, b.Select(b.Compare(Comparison.Less, a, c), a, c));
    }
}

/// <summary>rd = the lesser of rs1 and rs2, unsigned.</summary>
internal readonly struct Minu : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("minu", InstructionFormat.R, 0x33, 5, 0x05);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        V a = b.Read(o.Rs1), c = b.Read(o.Rs2);
        return b.Write(o.Rd, b.Select(b.Compare(Comparison.LessUnsigned, a, c), a, c));
    }
}

/// <summary>rd = the greater of rs1 and rs2.</summary>
internal readonly struct Max : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("max", InstructionFormat.R, 0x33, 6, 0x05);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        V a = b.Read(o.Rs1), c = b.Read(o.Rs2);
        return b.Write(o.Rd, b.Select(b.Compare(Comparison.GreaterOrEqual, a, c), a, c));
    }
}

/// <summary>rd = the greater of rs1 and rs2, unsigned.</summary>
internal readonly struct Maxu : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("maxu", InstructionFormat.R, 0x33, 7, 0x05);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        V a = b.Read(o.Rs1), c = b.Read(o.Rs2);
        return b.Write(o.Rd, b.Select(b.Compare(Comparison.GreaterOrEqualUnsigned, a, c), a, c));
    }
}

/// <summary>rd = rs1 rotated left by rs2.</summary>
internal readonly struct Rol : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("rol", InstructionFormat.R, 0x33, 1, 0x30);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.RotateRight(b.Read(o.Rs1), b.Sub(b.Constant(0), b.Read(o.Rs2))));
}

/// <summary>rd = rs1 rotated right by rs2.</summary>
internal readonly struct Ror : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("ror", InstructionFormat.R, 0x33, 5, 0x30);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.RotateRight(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 rotated right by shamt.</summary>
internal readonly struct Rori : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("rori", InstructionFormat.Shift, 0x13, 5, 0x18);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.RotateRight(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = the low word of rs1 rotated left by rs2.</summary>
internal readonly struct Rolw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("rolw", InstructionFormat.R, 0x3b, 1, 0x30);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.RotateRight32(b.Read(o.Rs1), b.Sub(b.Constant(0), b.Read(o.Rs2))));
}

/// <summary>rd = the low word of rs1 rotated right by rs2.</summary>
internal readonly struct Rorw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("rorw", InstructionFormat.R, 0x3b, 5, 0x30);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.RotateRight32(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = the low word of rs1 rotated right by shamt.</summary>
internal readonly struct Roriw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("roriw", InstructionFormat.Shift, 0x1b, 5, 0x30);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.RotateRight32(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}
