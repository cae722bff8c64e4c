using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using VirtKit.Execution;
using VirtKit.Execution.FloatingPoint;

namespace VirtKit.Tests.Toy;

/// <summary>The instructions of the toy ISA, which has what RISC-V has not: 1 to 15 bytes at any address, flags, parts of registers, results that clear the upper half, and
/// accesses that read, compute and write.</summary>
/// <remarks>Any number of <see cref="Prefix"/> bytes, an opcode, perhaps a byte with two registers (the first in the upper half), and perhaps an immediate.</remarks>
internal sealed unsafe class ToyInstructions : GuestInstructions
{
    public const byte Prefix = 0x66;

    public static readonly ToyInstructions Shared = new();

    private static readonly Row[] Rows =
    [
        Row.Of<Nop>(0x00, InstructionForm.Plain),
        Row.Of<Add>(0x01, InstructionForm.Plain, registers: true),
        Row.Of<Subtract>(0x02, InstructionForm.Plain, registers: true),
        Row.Of<ExclusiveOr>(0x03, InstructionForm.Plain, registers: true),
        Row.Of<Compare>(0x04, InstructionForm.Plain, registers: true),
        Row.Of<Add32>(0x05, InstructionForm.Plain, registers: true),
        Row.Of<Add8>(0x06, InstructionForm.Plain, registers: true),
        Row.Of<AddImmediate>(0x07, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<MoveImmediate>(0x08, InstructionForm.Plain, registers: true, immediate: 4),
        Row.Of<Load>(0x09, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<Store>(0x0a, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<LoadByte>(0x0b, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<AddToMemory>(0x0c, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<JumpIfZero>(0x0d, InstructionForm.Branch, immediate: 1),
        Row.Of<JumpIfLess>(0x0e, InstructionForm.Branch, immediate: 1),
        Row.Of<JumpNear>(0x0f, InstructionForm.Jump, immediate: 1),
        Row.Of<JumpTo>(0x10, InstructionForm.JumpRegister, registers: true),
        Row.Of<AddressOf>(0x11, InstructionForm.PcRelative, registers: true, immediate: 1),
        Row.Of<SwitchMode>(0x12, InstructionForm.System),
        Row.Of<Return>(0x13, InstructionForm.System),
        Row.Of<LoadVector>(0x14, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<StoreVector>(0x15, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<ExclusiveOrVector>(0x16, InstructionForm.Plain, registers: true),
        Row.Of<SingleArithmetic<OfSum>>(0x17, InstructionForm.Complex, registers: true),
        Row.Of<SingleArithmetic<OfProduct>>(0x18, InstructionForm.Complex, registers: true),
        Row.Of<SingleArithmetic<OfSign>>(0x19, InstructionForm.Complex, registers: true),
        Row.Of<SingleOfInteger>(0x1a, InstructionForm.Complex, registers: true),
        Row.Of<Widen>(0x1b, InstructionForm.Complex, registers: true),
        Row.Of<Narrow>(0x1c, InstructionForm.Complex, registers: true),
        Row.Of<LoadSingle>(0x1d, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<StoreFloat>(0x1e, InstructionForm.Plain, registers: true, immediate: 1),
        Row.Of<MoveToFloat>(0x1f, InstructionForm.Plain, registers: true),
        Row.Of<MoveFromFloat>(0x20, InstructionForm.Plain, registers: true),
        Row.Of<SetStatus>(0x21, InstructionForm.System, registers: true),
        Row.Of<GetStatus>(0x22, InstructionForm.System, registers: true),
        Row.Of<Truncate>(0x23, InstructionForm.Plain, registers: true),
        Row.Of<SingleFused>(0x24, InstructionForm.Plain, registers: true),
    ];

    public override int MaxRows => Rows.Length;

    public override int MaxLength => 15;

    public override int Alignment => 1;

    public override bool ShowsChangesAtOnce => true;

    public override IReadOnlyList<GuestRegister> Registers { get; } =
    [
        .. ToySlots.Names.Select((name, slot) => new GuestRegister(name, 64, RegisterGroup.General, 8 * slot)), new GuestRegister("pc", 64, RegisterGroup.General, 8 * ToySlots.Count),
    ];

    public override int RegistersSize => 8 * (ToySlots.Count + 1);

    /// <summary>The number of opcodes.</summary>
    public static int Opcodes => Rows.Length;

    /// <summary>How many bytes follow an opcode.</summary>
    public static int OperandBytes(int opcode) => (Rows[opcode].HasRegisters ? 1 : 0) + Rows[opcode].Immediate;

    public override string Disassemble(ReadOnlySpan<byte> code, Gva address) =>
        TryDecode(code, out DecodedInstruction i) && i.Row >= 0 ? $"{Rows[i.Row].Name} r{i.Operands.Rd}, r{i.Operands.Rs1}, {i.Operands.Imm}" : "illegal";

    public override nint Choose(int row, IInstructionFunctions functions) => Rows[row].Choose(functions, Rows[row].Form);

    public override bool TryDecode(ReadOnlySpan<byte> code, out DecodedInstruction instruction)
    {
        instruction = new DecodedInstruction { Row = -1, Form = InstructionForm.System, Traits = InstructionTraits.Unrepeatable };
        int at = 0;
        while (at < code.Length && at < MaxLength && code[at] == Prefix)
            at++;
        if (at == MaxLength)
        {
            instruction.Length = (byte)MaxLength;
            return true;
        }

        if (at == code.Length)
            return false;
        byte opcode = code[at++];
        if (opcode >= Rows.Length || at + OperandBytes(opcode) > MaxLength)
        {
            instruction.Length = (byte)at;
            return true;
        }

        Row row = Rows[opcode];
        int length = at + OperandBytes(opcode);
        if (code.Length < length)
            return false;
        if (row.HasRegisters)
        {
            byte registers = code[at++];
            instruction.Operands.Rd = (byte)(registers >> 4);
            instruction.Operands.Rs1 = (byte)(registers & 15);
        }

        instruction.Operands.Imm = row.Immediate switch
        {
            0 => 0,
            1 => (sbyte)code[at],
            _ => BinaryPrimitives.ReadInt32LittleEndian(code[at..]),
        };
        instruction.Row = opcode;
        instruction.Length = (byte)length;
        instruction.Form = row.Form;
        instruction.Traits = row.Form == InstructionForm.System ? InstructionTraits.Unrepeatable : InstructionTraits.None;
        return true;
    }

    private sealed class Row(string name, InstructionForm form, bool registers, int immediate, delegate*<IInstructionFunctions, InstructionForm, nint> choose)
    {
        private readonly delegate*<IInstructionFunctions, InstructionForm, nint> _choose = choose;

        public string Name => name;

        public InstructionForm Form => form;

        public bool HasRegisters => registers;

        public int Immediate => immediate;

        public static Row Of<T>(byte opcode, InstructionForm form, bool registers = false, int immediate = 0) where T : struct, IInstruction =>
            new($"{opcode:x2} {typeof(T).Name}", form, registers, immediate, &ChooseOf<T>);

        public nint Choose(IInstructionFunctions functions, InstructionForm form) => _choose(functions, form);

        private static nint ChooseOf<T>(IInstructionFunctions functions, InstructionForm form) where T : struct, IInstruction => functions.Of<T>(form);
    }
}

internal static class ToyFlags
{
    /// <summary>Writes the flags of x - y, which is <paramref name="result"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfDifference<B, V>(ref B b, V x, V y, V result) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(ToySlots.Zero, b.Compare(Comparison.Equal, x, y)) && b.Write(ToySlots.Carry, b.Compare(Comparison.LessUnsigned, x, y))
            && b.Write(ToySlots.Negative, b.Compare(Comparison.Less, result, b.Constant(0))) && b.Write(ToySlots.Less, b.Compare(Comparison.Less, x, y));

    /// <summary>Writes the flags of x + y, which is <paramref name="result"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfSum<B, V>(ref B b, V x, V result) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(ToySlots.Zero, b.Compare(Comparison.Equal, result, b.Constant(0))) && b.Write(ToySlots.Carry, b.Compare(Comparison.LessUnsigned, result, x))
            && b.Write(ToySlots.Negative, b.Compare(Comparison.Less, result, b.Constant(0))) && b.Write(ToySlots.Less, b.Compare(Comparison.Less, result, b.Constant(0)));
}

internal readonly struct Nop : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => true;
}

internal readonly struct Add : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o)
    {
        V x = b.Read(o.Rd), sum = b.Add(x, b.Read(o.Rs1));
        return ToyFlags.OfSum(ref b, x, sum) && b.Write(o.Rd, sum);
    }
}

internal readonly struct Subtract : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o)
    {
        V x = b.Read(o.Rd), y = b.Read(o.Rs1), difference = b.Sub(x, y);
        return ToyFlags.OfDifference(ref b, x, y, difference) && b.Write(o.Rd, difference);
    }
}

/// <summary>Changes no flag.</summary>
internal readonly struct ExclusiveOr : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Write(o.Rd, b.Xor(b.Read(o.Rd), b.Read(o.Rs1)));
}

internal readonly struct Compare : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o)
    {
        V x = b.Read(o.Rd), y = b.Read(o.Rs1);
        return ToyFlags.OfDifference(ref b, x, y, b.Sub(x, y));
    }
}

/// <summary>32 bits, and zeroes above.</summary>
internal readonly struct Add32 : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Write(o.Rd, b.ZeroExtend(b.Add(b.Read(o.Rd), b.Read(o.Rs1)), 32));
}

/// <summary>The low 8 bits; the others stay.</summary>
internal readonly struct Add8 : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o)
    {
        V x = b.Read(o.Rd), sum = b.ZeroExtend(b.Add(x, b.Read(o.Rs1)), 8);
        return b.Write(ToySlots.Zero, b.Compare(Comparison.Equal, sum, b.Constant(0))) && b.Write(o.Rd, b.Or(b.And(x, b.Constant(~0xffUL)), sum));
    }
}

internal readonly struct AddImmediate : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

internal readonly struct MoveImmediate : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Write(o.Rd, b.Constant((ulong)o.Imm));
}

internal readonly struct Load : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Load(MemoryWidth.Double, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value) && b.Write(o.Rd, value);
}

internal readonly struct Store : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Store(MemoryWidth.Double, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(o.Rd));
}

/// <summary>The low 8 bits of a register; the others stay.</summary>
internal readonly struct LoadByte : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Load(MemoryWidth.Byte, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value) && b.Write(o.Rd, b.Or(b.And(b.Read(o.Rd), b.Constant(~0xffUL)), value));
}

/// <summary>Reads, adds, writes, and only then changes the flags: where the write faults, nothing has happened.</summary>
internal readonly struct AddToMemory : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o)
    {
        V address = b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm));
        if (!b.Load(MemoryWidth.Double, address, out V x))
            return false;
        V sum = b.Add(x, b.Read(o.Rd));
        return b.Store(MemoryWidth.Double, address, sum) && ToyFlags.OfSum(ref b, x, sum);
    }
}

/// <summary>128 bits at any address.</summary>
internal readonly struct LoadVector : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.LoadPair(b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V low, out V high) && b.Write(Low(o.Rd), low) && b.Write(Low(o.Rd) + 1, high);

    /// <summary>The slot of a register's low half; four registers repeat themselves.</summary>
    public static int Low(int register) => ToySlots.Vectors + 2 * (register & 3);
}

internal readonly struct StoreVector : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.StorePair(b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(LoadVector.Low(o.Rd)), b.Read(LoadVector.Low(o.Rd) + 1));
}

internal readonly struct ExclusiveOrVector : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o)
    {
        int x = LoadVector.Low(o.Rd), y = LoadVector.Low(o.Rs1);
        return b.Write(x, b.Xor(b.Read(x), b.Read(y))) && b.Write(x + 1, b.Xor(b.Read(x + 1), b.Read(y + 1)));
    }
}

internal readonly struct OfSum : IConstant { public static FloatOperation Value => FloatOperation.Add; }
internal readonly struct OfProduct : IConstant { public static FloatOperation Value => FloatOperation.Multiply; }
internal readonly struct OfSign : IConstant { public static FloatOperation Value => FloatOperation.SignCopy; }

internal interface IConstant
{
    static abstract FloatOperation Value { get; }
}

/// <summary>Singles that are not boxed, rounded as the status register says.</summary>
internal readonly struct SingleArithmetic<O> : IInstruction where O : struct, IConstant
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(O.Value, FloatFormat.Single, RoundingMode.Dynamic, b.Read(F(o.Rd)), b.Read(F(o.Rs1)), b.Constant(0), out V result) && b.Write(F(o.Rd), result);

    /// <summary>The slot of a register; four repeat themselves.</summary>
    public static int F(int register) => ToySlots.Floats + (register & 3);
}

internal readonly struct SingleOfInteger : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(FloatOperation.FromInt32, FloatFormat.Single, RoundingMode.Dynamic, b.Read(o.Rs1), b.Constant(0), b.Constant(0), out V result) && b.Write(SingleArithmetic<OfSum>.F(o.Rd), result);
}

internal readonly struct Widen : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(FloatOperation.Convert, FloatFormat.Double, RoundingMode.Dynamic, b.Read(SingleArithmetic<OfSum>.F(o.Rs1)), b.Constant(0), b.Constant(0), out V result)
            && b.Write(SingleArithmetic<OfSum>.F(o.Rd), result);
}

/// <summary>To nearest, whatever the status register says.</summary>
internal readonly struct Narrow : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(FloatOperation.Convert, FloatFormat.Single, RoundingMode.NearestEven, b.Read(SingleArithmetic<OfSum>.F(o.Rs1)), b.Constant(0), b.Constant(0), out V result)
            && b.Write(SingleArithmetic<OfSum>.F(o.Rd), result);
}

/// <summary>Zeroes stand above.</summary>
internal readonly struct LoadSingle : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Load(MemoryWidth.Word, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value) && b.Write(SingleArithmetic<OfSum>.F(o.Rd), value);
}

internal readonly struct StoreFloat : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Store(MemoryWidth.Double, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(SingleArithmetic<OfSum>.F(o.Rd)));
}

/// <summary>All 64 bits, so that anything may stand above a single.</summary>
internal readonly struct MoveToFloat : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.UseFloat() && b.Write(SingleArithmetic<OfSum>.F(o.Rd), b.Read(o.Rs1));
}

internal readonly struct MoveFromFloat : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.UseFloat() && b.Write(o.Rd, b.Read(SingleArithmetic<OfSum>.F(o.Rs1)));
}

/// <summary>A single to 32 bits, and zeroes above.</summary>
internal readonly struct Truncate : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(FloatOperation.ToInt32, FloatFormat.Single, RoundingMode.TowardsZero, b.Read(SingleArithmetic<OfSum>.F(o.Rs1)), b.Constant(0), b.Constant(0), out V result)
            && b.Write(o.Rd, b.ZeroExtend(result, 32));
}

/// <summary>d = d * s - f0.</summary>
internal readonly struct SingleFused : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.UseFloat() && b.Float(FloatOperation.MultiplySubtract, FloatFormat.Single, RoundingMode.NearestEven, b.Read(SingleArithmetic<OfSum>.F(o.Rd)), b.Read(SingleArithmetic<OfSum>.F(o.Rs1)), b.Read(ToySlots.Floats), out V result)
            && b.Write(SingleArithmetic<OfSum>.F(o.Rd), result);
}

internal readonly unsafe struct SetStatus : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<ToyCpu>(&ToyCpu.SetStatus, o);
}

internal readonly unsafe struct GetStatus : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<ToyCpu>(&ToyCpu.GetStatus, o);
}

internal readonly struct JumpIfZero : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Branch(Comparison.NotEqual, b.Read(ToySlots.Zero), b.Constant(0), o.Imm);
}

internal readonly struct JumpIfLess : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.Branch(Comparison.NotEqual, b.Read(ToySlots.Less), b.Constant(0), o.Imm);
}

internal readonly struct JumpNear : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Jump(o.Imm);
}

internal readonly struct JumpTo : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.JumpTo(b.Read(o.Rs1));
}

internal readonly struct AddressOf : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Write(o.Rd, b.PcPlus(o.Imm));
}

internal readonly unsafe struct SwitchMode : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<ToyCpu>(&ToyCpu.SwitchMode, o);
}

internal readonly unsafe struct Return : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<ToyCpu>(&ToyCpu.Return, o);
}
