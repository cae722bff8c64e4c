using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Single-bit instructions (RV-Unpriv §28.5).</summary>
internal static unsafe class Zbs
{
    public static InstructionGroup Group => new(&AddTo, 0x13, 0x33);

    private static void AddTo(InstructionSet set)
    {
        set.Add(Bclr.Encoding, &InstructionSet.Choose<Bclr>);
        set.Add(Bclri.Encoding, &InstructionSet.Choose<Bclri>);
        set.Add(Bext.Encoding, &InstructionSet.Choose<Bext>);
        set.Add(Bexti.Encoding, &InstructionSet.Choose<Bexti>);
        set.Add(Binv.Encoding, &InstructionSet.Choose<Binv>);
        set.Add(Binvi.Encoding, &InstructionSet.Choose<Binvi>);
        set.Add(Bset.Encoding, &InstructionSet.Choose<Bset>);
        set.Add(Bseti.Encoding, &InstructionSet.Choose<Bseti>);
    }
}

/// <summary>rd = rs1 with one bit cleared, counted by rs2.</summary>
internal readonly struct Bclr : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("bclr", InstructionFormat.R, 0x33, 1, 0x24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.And(b.Read(o.Rs1), b.Not(b.ShiftLeft(b.Constant(1), b.Read(o.Rs2)))));
}

/// <summary>rd = rs1 with one bit cleared, counted by shamt.</summary>
internal readonly struct Bclri : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("bclri", InstructionFormat.Shift, 0x13, 1, 0x12);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.And(b.Read(o.Rs1), b.Not(b.ShiftLeft(b.Constant(1), b.Constant((ulong)o.Imm)))));
}

/// <summary>rd = one bit of rs1, counted by rs2.</summary>
internal readonly struct Bext : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("bext", InstructionFormat.R, 0x33, 5, 0x24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.And(b.ShiftRightLogical(b.Read(o.Rs1), b.Read(o.Rs2)), b.Constant(1)));
}

/// <summary>rd = one bit of rs1, counted by shamt.</summary>
internal readonly struct Bexti : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("bexti", InstructionFormat.Shift, 0x13, 5, 0x12);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.And(b.ShiftRightLogical(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Constant(1)));
}

/// <summary>rd = rs1 with one bit inverted, counted by rs2.</summary>
internal readonly struct Binv : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("binv", InstructionFormat.R, 0x33, 1, 0x34);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Xor(b.Read(o.Rs1), b.ShiftLeft(b.Constant(1), b.Read(o.Rs2))));
}

/// <summary>rd = rs1 with one bit inverted, counted by shamt.</summary>
internal readonly struct Binvi : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("binvi", InstructionFormat.Shift, 0x13, 1, 0x1a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Xor(b.Read(o.Rs1), b.ShiftLeft(b.Constant(1), b.Constant((ulong)o.Imm))));
}

/// <summary>rd = rs1 with one bit set, counted by rs2.</summary>
internal readonly struct Bset : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("bset", InstructionFormat.R, 0x33, 1, 0x14);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Or(b.Read(o.Rs1), b.ShiftLeft(b.Constant(1), b.Read(o.Rs2))));
}

/// <summary>rd = rs1 with one bit set, counted by shamt.</summary>
internal readonly struct Bseti : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("bseti", InstructionFormat.Shift, 0x13, 1, 0x0a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Or(b.Read(o.Rs1), b.ShiftLeft(b.Constant(1), b.Constant((ulong)o.Imm))));
}
