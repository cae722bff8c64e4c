using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Single and double floating point (RV-Unpriv §20, §21): every instruction once, over its format. The arithmetic is the backend's.</summary>
internal static unsafe class FD
{
    public static InstructionGroup Group => new(&AddTo, 0x07, 0x27, 0x43, 0x47, 0x4b, 0x4f, 0x53);

    private static void AddTo(InstructionSet set)
    {
        AddFormat<SingleFormat>(set);
        AddFormat<DoubleFormat>(set);
    }

    /// <summary>OP-FP with funct5 and the format.</summary>
    public static Encoding Row<T>(string name, uint funct5, InstructionFormat format) where T : struct, IFloatFormat =>
        new(name + T.Suffix, 0xfe00007f, 0x53 | T.Fmt << 25 | funct5 << 27, format, InstructionForm.Complex);

    /// <summary>OP-FP with funct5, the format and funct3 in the place of rm.</summary>
    public static Encoding Row3<T>(string name, uint funct5, uint funct3, InstructionFormat format) where T : struct, IFloatFormat =>
        new(name + T.Suffix, 0xfe00707f, 0x53 | funct3 << 12 | T.Fmt << 25 | funct5 << 27, format, InstructionForm.Complex);

    /// <summary>OP-FP with funct5, the format and a selector in the place of rs2.</summary>
    public static Encoding RowSelect<T>(string name, uint funct5, uint rs2, InstructionFormat format) where T : struct, IFloatFormat =>
        new(name, 0xfff0007f, 0x53 | rs2 << 20 | T.Fmt << 25 | funct5 << 27, format, InstructionForm.Complex);

    private static void AddFormat<T>(InstructionSet set) where T : struct, IFloatFormat
    {
        set.Add(FloatLoad<T>.Encoding, &InstructionSet.Choose<FloatLoad<T>>);
        set.Add(FloatStore<T>.Encoding, &InstructionSet.Choose<FloatStore<T>>);
        set.Add(FloatBinary<FAdd, T>.Encoding, &InstructionSet.Choose<FloatBinary<FAdd, T>>);
        set.Add(FloatBinary<FSub, T>.Encoding, &InstructionSet.Choose<FloatBinary<FSub, T>>);
        set.Add(FloatBinary<FMul, T>.Encoding, &InstructionSet.Choose<FloatBinary<FMul, T>>);
        set.Add(FloatBinary<FDiv, T>.Encoding, &InstructionSet.Choose<FloatBinary<FDiv, T>>);
        set.Add(FloatSquareRoot<T>.Encoding, &InstructionSet.Choose<FloatSquareRoot<T>>);
        set.Add(FloatFused<FMadd, T>.Encoding, &InstructionSet.Choose<FloatFused<FMadd, T>>);
        set.Add(FloatFused<FMsub, T>.Encoding, &InstructionSet.Choose<FloatFused<FMsub, T>>);
        set.Add(FloatFused<FNmsub, T>.Encoding, &InstructionSet.Choose<FloatFused<FNmsub, T>>);
        set.Add(FloatFused<FNmadd, T>.Encoding, &InstructionSet.Choose<FloatFused<FNmadd, T>>);
        set.Add(FloatExact<FSgnj, T>.Encoding, &InstructionSet.Choose<FloatExact<FSgnj, T>>);
        set.Add(FloatExact<FSgnjn, T>.Encoding, &InstructionSet.Choose<FloatExact<FSgnjn, T>>);
        set.Add(FloatExact<FSgnjx, T>.Encoding, &InstructionSet.Choose<FloatExact<FSgnjx, T>>);
        set.Add(FloatExact<FMin, T>.Encoding, &InstructionSet.Choose<FloatExact<FMin, T>>);
        set.Add(FloatExact<FMax, T>.Encoding, &InstructionSet.Choose<FloatExact<FMax, T>>);
        set.Add(FloatCompare<FEq, T>.Encoding, &InstructionSet.Choose<FloatCompare<FEq, T>>);
        set.Add(FloatCompare<FLt, T>.Encoding, &InstructionSet.Choose<FloatCompare<FLt, T>>);
        set.Add(FloatCompare<FLe, T>.Encoding, &InstructionSet.Choose<FloatCompare<FLe, T>>);
        set.Add(FloatClassify<T>.Encoding, &InstructionSet.Choose<FloatClassify<T>>);
        set.Add(FloatConvert<T>.Encoding, &InstructionSet.Choose<FloatConvert<T>>);
        set.Add(FloatToInteger<IntegerW, T>.Encoding, &InstructionSet.Choose<FloatToInteger<IntegerW, T>>);
        set.Add(FloatToInteger<IntegerWu, T>.Encoding, &InstructionSet.Choose<FloatToInteger<IntegerWu, T>>);
        set.Add(FloatToInteger<IntegerL, T>.Encoding, &InstructionSet.Choose<FloatToInteger<IntegerL, T>>);
        set.Add(FloatToInteger<IntegerLu, T>.Encoding, &InstructionSet.Choose<FloatToInteger<IntegerLu, T>>);
        set.Add(IntegerToFloat<IntegerW, T>.Encoding, &InstructionSet.Choose<IntegerToFloat<IntegerW, T>>);
        set.Add(IntegerToFloat<IntegerWu, T>.Encoding, &InstructionSet.Choose<IntegerToFloat<IntegerWu, T>>);
        set.Add(IntegerToFloat<IntegerL, T>.Encoding, &InstructionSet.Choose<IntegerToFloat<IntegerL, T>>);
        set.Add(IntegerToFloat<IntegerLu, T>.Encoding, &InstructionSet.Choose<IntegerToFloat<IntegerLu, T>>);
        set.Add(FloatMoveToInteger<T>.Encoding, &InstructionSet.Choose<FloatMoveToInteger<T>>);
        set.Add(IntegerMoveToFloat<T>.Encoding, &InstructionSet.Choose<IntegerMoveToFloat<T>>);
    }
}

/// <summary>flw, fld: fd = memory at rs1 + imm.</summary>
internal readonly struct FloatLoad<T> : IInstruction where T : struct, IFloatFormat
{
    public static Encoding Encoding => Encoding.Of("fl" + T.WidthSuffix, InstructionFormat.FloatLoad, 0x07, T.WidthFunct3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Load(T.Width, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value) && b.Write(o.Rd, T.Box<B, V>(ref b, value));
}

/// <summary>fsw, fsd: memory at rs1 + imm = the low bits of fs2.</summary>
internal readonly struct FloatStore<T> : IInstruction where T : struct, IFloatFormat
{
    public static Encoding Encoding => Encoding.Of("fs" + T.WidthSuffix, InstructionFormat.FloatStore, 0x27, T.WidthFunct3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Store(T.Width, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(o.Rs2));
}

/// <summary>fadd, fsub, fmul, fdiv: fd = fs1 op fs2, rounded.</summary>
internal readonly struct FloatBinary<O, T> : IInstruction where O : struct, IFloatOperation where T : struct, IFloatFormat
{
    public static Encoding Encoding => FD.Row<T>(O.Name, O.Funct5, InstructionFormat.FloatR);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(O.Operation, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Read(o.Rs2), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fsqrt: fd = the square root of fs1, rounded.</summary>
internal readonly struct FloatSquareRoot<T> : IInstruction where T : struct, IFloatFormat
{
    public static Encoding Encoding => FD.RowSelect<T>("fsqrt" + T.Suffix, 0x0b, 0, InstructionFormat.FloatUnary);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(FloatOperation.SquareRoot, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Constant(0), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fmadd and its kin: fd = ±(fs1 * fs2) ± fs3, rounded once.</summary>
internal readonly struct FloatFused<O, T> : IInstruction where O : struct, IFloatOperation where T : struct, IFloatFormat
{
    public static Encoding Encoding => new(O.Name + T.Suffix, 0x0600007f, O.Funct5 | T.Fmt << 25, InstructionFormat.FloatR4, InstructionForm.Complex);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(O.Operation, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Read(o.Rs2), b.Read(o.Rs3), out V result) && b.Write(o.Rd, result);
}

/// <summary>fsgnj, fmin and their kin: fd = an operation that does not round.</summary>
internal readonly struct FloatExact<O, T> : IInstruction where O : struct, IFloatOperation where T : struct, IFloatFormat
{
    public static Encoding Encoding => FD.Row3<T>(O.Name, O.Funct5, O.Funct3, InstructionFormat.FloatRNoRounding);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(O.Operation, T.Format, 0, b.Read(o.Rs1), b.Read(o.Rs2), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>feq, flt, fle: rd = whether fs1 and fs2 compare so.</summary>
internal readonly struct FloatCompare<O, T> : IInstruction where O : struct, IFloatOperation where T : struct, IFloatFormat
{
    public static Encoding Encoding => FD.Row3<T>(O.Name, O.Funct5, O.Funct3, InstructionFormat.FloatCompare);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(O.Operation, T.Format, 0, b.Read(o.Rs1), b.Read(o.Rs2), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fclass: rd = one bit for the class of fs1.</summary>
internal readonly struct FloatClassify<T> : IInstruction where T : struct, IFloatFormat
{
    public static Encoding Encoding => new("fclass" + T.Suffix, 0xfff0707f, 0xe0001053 | T.Fmt << 25, InstructionFormat.FloatMoveToInteger, InstructionForm.Complex);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(FloatOperation.Classify, T.Format, 0, b.Read(o.Rs1), b.Constant(0), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fcvt.s.d, fcvt.d.s: fd = fs1 from the other format.</summary>
internal readonly struct FloatConvert<T> : IInstruction where T : struct, IFloatFormat
{
    public static Encoding Encoding => FD.RowSelect<T>("fcvt" + T.Suffix + T.OtherSuffix, 0x08, T.Fmt ^ 1, InstructionFormat.FloatUnary);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(FloatOperation.Convert, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Constant(0), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fcvt.w.d and its kin: rd = fs1 as an integer.</summary>
internal readonly struct FloatToInteger<N, T> : IInstruction where N : struct, IIntegerFormat where T : struct, IFloatFormat
{
    public static Encoding Encoding => FD.RowSelect<T>("fcvt" + N.Suffix + T.Suffix, 0x18, N.Selector, InstructionFormat.FloatToInteger);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(N.To, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Constant(0), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fcvt.d.w and its kin: fd = rs1 as a floating-point number.</summary>
internal readonly struct IntegerToFloat<N, T> : IInstruction where N : struct, IIntegerFormat where T : struct, IFloatFormat
{
    public static Encoding Encoding => FD.RowSelect<T>("fcvt" + T.Suffix + N.Suffix, 0x1a, N.Selector, InstructionFormat.IntegerToFloat);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Float(N.From, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Constant(0), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fmv.x.w, fmv.x.d: rd = the bits of fs1, sign-extended.</summary>
internal readonly struct FloatMoveToInteger<T> : IInstruction where T : struct, IFloatFormat
{
    public static Encoding Encoding => new("fmv.x." + T.WidthSuffix, 0xfff0707f, 0xe0000053 | T.Fmt << 25, InstructionFormat.FloatMoveToInteger);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Write(o.Rd, b.SignExtend(b.Read(o.Rs1), T.Bits));
}

/// <summary>fmv.w.x, fmv.d.x: fd = the low bits of rs1.</summary>
internal readonly struct IntegerMoveToFloat<T> : IInstruction where T : struct, IFloatFormat
{
    public static Encoding Encoding => new("fmv." + T.WidthSuffix + ".x", 0xfff0707f, 0xf0000053 | T.Fmt << 25, InstructionFormat.IntegerMoveToFloat);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.UseFloat() && b.Write(o.Rd, T.Box<B, V>(ref b, b.Read(o.Rs1)));
}
