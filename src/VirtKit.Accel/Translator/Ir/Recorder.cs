using System.Numerics;
using VirtKit.Execution.FloatingPoint;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>The backend that writes down what a definition does instead of doing it. Constants are folded, and extensions that change nothing are left out.</summary>
internal unsafe struct Recorder(IrBuilder builder) : IBackend<Value>
{
    public readonly Value Constant(ulong value) => builder.Constant(value);

    public readonly Value PcPlus(int offset) => builder.Constant(builder.Pc + (ulong)offset);

    public readonly Value NextPc() => builder.Constant(builder.NextPc);

    public readonly Value Read(int slot) => builder.Read(slot);

    public readonly bool Write(int slot, Value value) => builder.Write(slot, value);

    public readonly Value Add(Value a, Value b) => builder.Binary(IrCode.Add, a, b);

    public readonly Value Sub(Value a, Value b) => builder.Binary(IrCode.Sub, a, b);

    public readonly Value And(Value a, Value b) => builder.Binary(IrCode.And, a, b);

    public readonly Value Or(Value a, Value b) => builder.Binary(IrCode.Or, a, b);

    public readonly Value Xor(Value a, Value b) => builder.Binary(IrCode.Xor, a, b);

    public readonly Value Not(Value a) => builder.Unary(IrCode.Not, a);

    public readonly Value ShiftLeft(Value a, Value amount) => builder.Binary(IrCode.ShiftLeft, a, amount);

    public readonly Value ShiftRightLogical(Value a, Value amount) => builder.Binary(IrCode.ShiftRightLogical, a, amount);

    public readonly Value ShiftRightArithmetic(Value a, Value amount) => builder.Binary(IrCode.ShiftRightArithmetic, a, amount);

    public readonly Value RotateRight(Value a, Value amount) => builder.Binary(IrCode.RotateRight, a, amount);

    public readonly Value RotateRight32(Value a, Value amount) => builder.Binary(IrCode.RotateRight32, a, amount);

    public readonly Value Mul(Value a, Value b) => builder.Binary(IrCode.Mul, a, b);

    public readonly Value MulHigh(Signedness signedness, Value a, Value b) => builder.Binary(IrCode.MulHigh, a, b, (byte)signedness);

    public readonly Value Divide(DivisionPart part, Signedness signedness, int bits, Value a, Value b) =>
        builder.Binary(IrCode.Divide, a, b, (byte)signedness, (byte)part, (ulong)bits);

    public readonly Value SignExtend(Value a, int fromBits) => builder.Extend(IrCode.SignExtend, a, fromBits);

    public readonly Value ZeroExtend(Value a, int fromBits) => builder.Extend(IrCode.ZeroExtend, a, fromBits);

    public readonly Value Compare(Comparison comparison, Value a, Value b) => builder.Binary(IrCode.Compare, a, b, (byte)comparison);

    public readonly Value Select(Value condition, Value a, Value b) =>
        builder.Emit(IrCode.Select, condition.Index, a.Index, b.Index);

    public readonly Value Count(BitCount count, int bits, Value a) =>
        builder.Emit(IrCode.Count, a.Index, detail: (byte)count, detail2: (byte)bits, signedBits: 8, unsignedBits: 7);

    public readonly Value ReverseBytes(Value a) => builder.Unary(IrCode.ReverseBytes, a);

    public readonly Value OrCombine(Value a) => builder.Unary(IrCode.OrCombine, a);

    public readonly bool Load(MemoryWidth width, Value address, out Value value)
    {
        int bits = 8 * width.Bytes();
        bool signed = width < MemoryWidth.Double;
        value = builder.Emit(IrCode.Load, address.Index, detail: (byte)width,
            signedBits: (byte)(signed ? bits : Math.Min(bits + 1, 64)), unsignedBits: (byte)(signed ? 64 : bits));
        return true;
    }

    public readonly bool Store(MemoryWidth width, Value address, Value value) => builder.Effect(IrCode.Store, address, value, (byte)width);

    public readonly bool LoadPair(Value address, out Value low, out Value high)
    {
        builder.Give(out low);
        high = low;
        return true;
    }

    public readonly bool StorePair(Value address, Value low, Value high) => builder.Give(out _);

    public readonly bool LoadReserved(MemoryWidth width, Value address, out Value value) => builder.Give(out value);

    public readonly bool StoreConditional(MemoryWidth width, Value address, Value value, out Value failed) => builder.Give(out failed);

    public readonly bool Atomic(AtomicOperation operation, MemoryWidth width, Value address, Value operand, out Value old)
    {
        old = builder.Emit(IrCode.Atomic, address.Index, operand.Index, detail: (byte)operation, detail2: (byte)width,
            signedBits: (byte)(width == MemoryWidth.Double ? 64 : 32));
        return true;
    }

    public readonly bool UseFloat() => builder.UseFloat();

    public readonly bool Float(FloatOperation operation, FloatFormat format, RoundingMode mode, Value a, Value b, Value c, out Value result)
    {
        result = builder.Emit(IrCode.Float, a.Index, b.Index, c.Index, (byte)operation, (byte)format, (ulong)mode);
        return true;
    }

    public readonly bool Fence() => builder.Effect(IrCode.Fence);

    public readonly bool Branch(Comparison comparison, Value a, Value b, int offset) =>
        builder.Branch(comparison, a, b, builder.Pc + (ulong)offset);

    public readonly bool Jump(int offset) => builder.Effect(IrCode.Jump, imm: builder.Pc + (ulong)offset);

    public readonly bool JumpTo(Value address) => builder.JumpTo(address);

    public readonly bool Call<TCpu>(delegate*<TCpu, in Operands, bool> function, in Operands o) where TCpu : GuestCpu => builder.Give(out _);
}
