using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>What RV64I adds to the base: double words, and arithmetic on words (RV-Unpriv §4).</summary>
internal static unsafe class I64
{
    public static InstructionGroup Group => new(&AddTo, 0x03, 0x13, 0x1b, 0x23, 0x33, 0x3b);

    private static void AddTo(InstructionSet set)
    {
        set.Add(Ld.Encoding, &InstructionSet.Choose<Ld>);
        set.Add(Lwu.Encoding, &InstructionSet.Choose<Lwu>);
        set.Add(Sd.Encoding, &InstructionSet.Choose<Sd>);
        set.Add(Addiw.Encoding, &InstructionSet.Choose<Addiw>);
        set.Add(Slliw.Encoding, &InstructionSet.Choose<Slliw>);
        set.Add(Srliw.Encoding, &InstructionSet.Choose<Srliw>);
        set.Add(Sraiw.Encoding, &InstructionSet.Choose<Sraiw>);
        set.Add(Addw.Encoding, &InstructionSet.Choose<Addw>);
        set.Add(Subw.Encoding, &InstructionSet.Choose<Subw>);
        set.Add(Sllw.Encoding, &InstructionSet.Choose<Sllw>);
        set.Add(Srlw.Encoding, &InstructionSet.Choose<Srlw>);
        set.Add(Sraw.Encoding, &InstructionSet.Choose<Sraw>);
    }
}

/// <summary>rd = memory at rs1 + imm, as Double.</summary>
internal readonly struct Ld : IInstruction
{
    public static Encoding Encoding => Encoding.Of("ld", InstructionFormat.Load, 0x03, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        if (!b.Load(MemoryWidth.Double, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value))
            return false;
        return b.Write(o.Rd, value);
    }
}

/// <summary>rd = memory at rs1 + imm, as Word.</summary>
internal readonly struct Lwu : IInstruction
{
    public static Encoding Encoding => Encoding.Of("lwu", InstructionFormat.Load, 0x03, 6);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        if (!b.Load(MemoryWidth.Word, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value))
            return false;
        return b.Write(o.Rd, value);
    }
}

/// <summary>Memory at rs1 + imm = rs2, as Double.</summary>
internal readonly struct Sd : IInstruction
{
    public static Encoding Encoding => Encoding.Of("sd", InstructionFormat.S, 0x23, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Store(MemoryWidth.Double, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(o.Rs2));
}

/// <summary>rd = rs1 + imm on 32 bits.</summary>
internal readonly struct Addiw : IInstruction
{
    public static Encoding Encoding => Encoding.Of("addiw", InstructionFormat.I, 0x1b, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), 32));
}

/// <summary>rd = rs1 &lt;&lt; shamt on 32 bits.</summary>
internal readonly struct Slliw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("slliw", InstructionFormat.Shift, 0x1b, 1, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.ShiftLeft(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), 32));
}

/// <summary>rd = rs1 &gt;&gt; shamt on 32 bits, logical.</summary>
internal readonly struct Srliw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("srliw", InstructionFormat.Shift, 0x1b, 5, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.ShiftRightLogical(b.ZeroExtend(b.Read(o.Rs1), 32), b.Constant((ulong)o.Imm)), 32));
}

/// <summary>rd = rs1 &gt;&gt; shamt on 32 bits, arithmetic.</summary>
internal readonly struct Sraiw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sraiw", InstructionFormat.Shift, 0x1b, 5, 0x20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftRightArithmetic(b.SignExtend(b.Read(o.Rs1), 32), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 + rs2 on 32 bits.</summary>
internal readonly struct Addw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("addw", InstructionFormat.R, 0x3b, 0, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.Add(b.Read(o.Rs1), b.Read(o.Rs2)), 32));
}

/// <summary>rd = rs1 - rs2 on 32 bits.</summary>
internal readonly struct Subw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("subw", InstructionFormat.R, 0x3b, 0, 0x20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.Sub(b.Read(o.Rs1), b.Read(o.Rs2)), 32));
}

/// <summary>rd = rs1 &lt;&lt; rs2 on 32 bits.</summary>
internal readonly struct Sllw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sllw", InstructionFormat.R, 0x3b, 1, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.ShiftLeft(b.Read(o.Rs1), b.And(b.Read(o.Rs2), b.Constant(31))), 32));
}

/// <summary>rd = rs1 &gt;&gt; rs2, logical, on 32 bits.</summary>
internal readonly struct Srlw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("srlw", InstructionFormat.R, 0x3b, 5, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.SignExtend(b.ShiftRightLogical(b.ZeroExtend(b.Read(o.Rs1), 32), b.And(b.Read(o.Rs2), b.Constant(31))), 32));
}

/// <summary>rd = rs1 &gt;&gt; rs2, arithmetic, on 32 bits.</summary>
internal readonly struct Sraw : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sraw", InstructionFormat.R, 0x3b, 5, 0x20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftRightArithmetic(b.SignExtend(b.Read(o.Rs1), 32), b.And(b.Read(o.Rs2), b.Constant(31))));
}
