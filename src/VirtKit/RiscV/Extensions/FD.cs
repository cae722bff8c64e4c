using System.Runtime.CompilerServices;
using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Single and double floating point (RV-Unpriv §20, §21): every instruction once, over its format. The arithmetic is the backend's.</summary>
internal static unsafe class FD
{
    public static InstructionGroup Single => new("F", &AddSingle, 0x07, 0x27, 0x43, 0x47, 0x4b, 0x4f, 0x53);

    public static InstructionGroup Double => new("D", &AddDouble, 0x07, 0x27, 0x43, 0x47, 0x4b, 0x4f, 0x53);

    private static void AddSingle(InstructionSet set) => AddFormat<SingleFormat>(set, "w",
        loads: "RV-Unpriv §20.5", arithmetic: "RV-Unpriv §20.6", moves: "RV-Unpriv §20.7", comparisons: "RV-Unpriv §20.8", classes: "RV-Unpriv §20.9");

    private static void AddDouble(InstructionSet set)
    {
        AddFormat<DoubleFormat>(set, "d",
            loads: "RV-Unpriv §21.3", arithmetic: "RV-Unpriv §21.4", moves: "RV-Unpriv §21.5", comparisons: "RV-Unpriv §21.6", classes: "RV-Unpriv §21.7");

        set.Section("RV-Unpriv §21.5");
        set.Add(Select<SingleFormat>("fcvt.s.d", 0x08, 1, InstructionFormat.FloatUnary), &Choose<FloatUnary<FNarrow, SingleFormat>>);
        set.Add(Select<DoubleFormat>("fcvt.d.s", 0x08, 0, InstructionFormat.FloatUnary), &Choose<FloatUnary<FWiden, DoubleFormat>>);
    }

    private static void AddFormat<T>(InstructionSet set, string width, string loads, string arithmetic, string moves, string comparisons, string classes)
        where T : struct, IFloatFormat
    {
        string s = T.Suffix;

        set.Section(loads);
        set.Add(Encoding.Of("fl" + width, InstructionFormat.FloatLoad, 0x07, 2 + (uint)T.Format), &Choose<FloatLoad<T>>);
        set.Add(Encoding.Of("fs" + width, InstructionFormat.FloatStore, 0x27, 2 + (uint)T.Format), &Choose<FloatStore<T>>);

        set.Section(arithmetic);
        set.Add(Rounded<T>("fadd" + s, 0x00), &Choose<FloatBinary<FAdd, T>>);
        set.Add(Rounded<T>("fsub" + s, 0x01), &Choose<FloatBinary<FSub, T>>);
        set.Add(Rounded<T>("fmul" + s, 0x02), &Choose<FloatBinary<FMul, T>>);
        set.Add(Rounded<T>("fdiv" + s, 0x03), &Choose<FloatBinary<FDiv, T>>);
        set.Add(Select<T>("fsqrt" + s, 0x0b, 0, InstructionFormat.FloatUnary), &Choose<FloatUnary<FSqrt, T>>);
        set.Add(Fused<T>("fmadd" + s, 0x43), &Choose<FloatFused<FMadd, T>>);
        set.Add(Fused<T>("fmsub" + s, 0x47), &Choose<FloatFused<FMsub, T>>);
        set.Add(Fused<T>("fnmsub" + s, 0x4b), &Choose<FloatFused<FNmsub, T>>);
        set.Add(Fused<T>("fnmadd" + s, 0x4f), &Choose<FloatFused<FNmadd, T>>);
        set.Add(Exact<T>("fmin" + s, 0x05, 0), &Choose<FloatExact<FMin, T>>);
        set.Add(Exact<T>("fmax" + s, 0x05, 1), &Choose<FloatExact<FMax, T>>);

        set.Section(moves);
        set.Add(Exact<T>("fsgnj" + s, 0x04, 0), &Choose<FloatExact<FSgnj, T>>);
        set.Add(Exact<T>("fsgnjn" + s, 0x04, 1), &Choose<FloatExact<FSgnjn, T>>);
        set.Add(Exact<T>("fsgnjx" + s, 0x04, 2), &Choose<FloatExact<FSgnjx, T>>);
        set.Add(Select<T>("fcvt.w" + s, 0x18, 0, InstructionFormat.FloatToInteger), &Choose<FloatUnary<FToW, T>>);
        set.Add(Select<T>("fcvt.wu" + s, 0x18, 1, InstructionFormat.FloatToInteger), &Choose<FloatUnary<FToWu, T>>);
        set.Add(Select<T>("fcvt.l" + s, 0x18, 2, InstructionFormat.FloatToInteger), &Choose<FloatUnary<FToL, T>>);
        set.Add(Select<T>("fcvt.lu" + s, 0x18, 3, InstructionFormat.FloatToInteger), &Choose<FloatUnary<FToLu, T>>);
        set.Add(Select<T>("fcvt" + s + ".w", 0x1a, 0, InstructionFormat.IntegerToFloat), &Choose<FloatUnary<FFromW, T>>);
        set.Add(Select<T>("fcvt" + s + ".wu", 0x1a, 1, InstructionFormat.IntegerToFloat), &Choose<FloatUnary<FFromWu, T>>);
        set.Add(Select<T>("fcvt" + s + ".l", 0x1a, 2, InstructionFormat.IntegerToFloat), &Choose<FloatUnary<FFromL, T>>);
        set.Add(Select<T>("fcvt" + s + ".lu", 0x1a, 3, InstructionFormat.IntegerToFloat), &Choose<FloatUnary<FFromLu, T>>);
        set.Add(Move<T>("fmv.x." + width, 0x1c, 0, InstructionFormat.FloatMoveToInteger), &Choose<FloatMoveToInteger<T>>);
        set.Add(Move<T>("fmv." + width + ".x", 0x1e, 0, InstructionFormat.IntegerMoveToFloat), &Choose<IntegerMoveToFloat<T>>);

        set.Section(comparisons);
        set.Add(Exact<T>("feq" + s, 0x14, 2, InstructionFormat.FloatCompare), &Choose<FloatExact<FEq, T>>);
        set.Add(Exact<T>("flt" + s, 0x14, 1, InstructionFormat.FloatCompare), &Choose<FloatExact<FLt, T>>);
        set.Add(Exact<T>("fle" + s, 0x14, 0, InstructionFormat.FloatCompare), &Choose<FloatExact<FLe, T>>);

        set.Section(classes);
        set.Add(Move<T>("fclass" + s, 0x1c, 1, InstructionFormat.FloatMoveToInteger, InstructionForm.Complex), &Choose<FloatClassify<T>>);
    }

    /// <summary>OP-FP with funct5 and the format.</summary>
    private static Encoding Rounded<T>(string name, uint funct5) where T : struct, IFloatFormat =>
        new(name, 0xfe00007f, 0x53 | (uint)T.Format << 25 | funct5 << 27, InstructionFormat.FloatR, InstructionForm.Complex);

    /// <summary>OP-FP with funct5, the format and funct3 in the place of rm.</summary>
    private static Encoding Exact<T>(string name, uint funct5, uint funct3, InstructionFormat format = InstructionFormat.FloatRNoRounding) where T : struct, IFloatFormat =>
        new(name, 0xfe00707f, 0x53 | funct3 << 12 | (uint)T.Format << 25 | funct5 << 27, format, InstructionForm.Complex);

    /// <summary>OP-FP with funct5, the format and a selector in the place of rs2.</summary>
    private static Encoding Select<T>(string name, uint funct5, uint rs2, InstructionFormat format) where T : struct, IFloatFormat =>
        new(name, 0xfff0007f, 0x53 | rs2 << 20 | (uint)T.Format << 25 | funct5 << 27, format, InstructionForm.Complex);

    /// <summary>OP-FP with funct5, the format and funct3, without rs2.</summary>
    private static Encoding Move<T>(string name, uint funct5, uint funct3, InstructionFormat format, InstructionForm form = InstructionForm.Plain) where T : struct, IFloatFormat =>
        new(name, 0xfff0707f, 0x53 | funct3 << 12 | (uint)T.Format << 25 | funct5 << 27, format, form);

    /// <summary>A major opcode and the format.</summary>
    private static Encoding Fused<T>(string name, uint opcode) where T : struct, IFloatFormat =>
        new(name, 0x0600007f, opcode | (uint)T.Format << 25, InstructionFormat.FloatR4, InstructionForm.Complex);
}

/// <summary>fd = memory at rs1 + imm.</summary>
internal readonly struct FloatLoad<T> : IInstruction where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Load(T.Width, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value) && b.Write(o.Rd, T.Box(ref b, value));
}

/// <summary>Memory at rs1 + imm = the low bits of fs2.</summary>
internal readonly struct FloatStore<T> : IInstruction where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Store(T.Width, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(o.Rs2));
}

/// <summary>fd or rd = op fs1 or rs1, rounded.</summary>
internal readonly struct FloatUnary<O, T> : IInstruction where O : struct, IConstant<FloatOperation> where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(O.Value, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Constant(0), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fd = fs1 op fs2, rounded.</summary>
internal readonly struct FloatBinary<O, T> : IInstruction where O : struct, IConstant<FloatOperation> where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(O.Value, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Read(o.Rs2), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>fd = ±(fs1 * fs2) ± fs3, rounded once.</summary>
internal readonly struct FloatFused<O, T> : IInstruction where O : struct, IConstant<FloatOperation> where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(O.Value, T.Format, o.RoundingMode, b.Read(o.Rs1), b.Read(o.Rs2), b.Read(o.Rs3), out V result) && b.Write(o.Rd, result);
}

/// <summary>fd or rd = fs1 op fs2, which does not round.</summary>
internal readonly struct FloatExact<O, T> : IInstruction where O : struct, IConstant<FloatOperation> where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(O.Value, T.Format, RoundingMode.NearestEven, b.Read(o.Rs1), b.Read(o.Rs2), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>rd = one bit for the class of fs1.</summary>
internal readonly struct FloatClassify<T> : IInstruction where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(FloatOperation.Classify, T.Format, RoundingMode.NearestEven, b.Read(o.Rs1), b.Constant(0), b.Constant(0), out V result) && b.Write(o.Rd, result);
}

/// <summary>rd = the bits of fs1, sign-extended.</summary>
internal readonly struct FloatMoveToInteger<T> : IInstruction where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.UseFloat() && b.Write(o.Rd, b.SignExtend(b.Read(o.Rs1), T.Bits));
}

/// <summary>fd = the low bits of rs1.</summary>
internal readonly struct IntegerMoveToFloat<T> : IInstruction where T : struct, IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.UseFloat() && b.Write(o.Rd, T.Box(ref b, b.Read(o.Rs1)));
}
