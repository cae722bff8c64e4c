namespace VirtKit.RiscV;

/// <summary>The primitive operations in which instructions are defined. The interpreter executes them, a translator records them.</summary>
/// <typeparam name="V">A 64-bit value: <see cref="ulong"/> when executing, a name when recording.</typeparam>
/// <remarks>Enumerations, widths and offsets are constants in every definition, so a specialised backend has no branches on them.</remarks>
internal unsafe interface IBackend<V> where V : struct
{
    V Constant(ulong value);

    /// <summary>An address relative to this instruction's own.</summary>
    V PcPlus(int offset);

    V X(int register);

    /// <returns>Always <see langword="true"/>, as of every primitive that cannot trap, so that a definition can end with it.</returns>
    bool SetX(int register, V value);

    V F(int register);

    bool SetF(int register, V value);

    V Add(V a, V b);

    V Sub(V a, V b);

    V And(V a, V b);

    V Or(V a, V b);

    V Xor(V a, V b);

    V Not(V a);

    /// <summary>Shifts by the low 6 bits of <paramref name="amount"/>.</summary>
    V ShiftLeft(V a, V amount);

    V ShiftRightLogical(V a, V amount);

    V ShiftRightArithmetic(V a, V amount);

    V RotateRight(V a, V amount);

    /// <summary>Rotates the low 32 bits and sign-extends.</summary>
    V RotateRight32(V a, V amount);

    V Mul(V a, V b);

    V MulHigh(Signedness signedness, V a, V b);

    /// <summary>Division as RV-Unpriv §13.2 defines it for zero divisors and overflow; <paramref name="bits"/> is 32 (operands and result sign-extended) or 64.</summary>
    V Divide(DivisionPart part, Signedness signedness, int bits, V a, V b);

    V SignExtend(V a, int fromBits);

    V ZeroExtend(V a, int fromBits);

    /// <summary>1 where the comparison holds, otherwise 0.</summary>
    V Compare(Comparison comparison, V a, V b);

    /// <summary><paramref name="a"/> where <paramref name="condition"/> is not 0, otherwise <paramref name="b"/>.</summary>
    V Select(V condition, V a, V b);

    V Count(BitCount count, int bits, V a);

    V ReverseBytes(V a);

    /// <summary>Sets each byte to all ones where it is not 0 (Zbb orc.b).</summary>
    V OrCombine(V a);

    bool Load(MemoryWidth width, V address, out V value);

    bool Store(MemoryWidth width, V address, V value);

    bool LoadReserved(MemoryWidth width, V address, out V value);

    /// <summary><paramref name="failed"/> is 0 on success, otherwise 1.</summary>
    bool StoreConditional(MemoryWidth width, V address, V value, out V failed);

    bool Atomic(AtomicOperation operation, MemoryWidth width, V address, V operand, out V old);

    /// <summary>Whether the floating-point unit may be used; makes its state dirty.</summary>
    bool UseFloat();

    /// <summary>An operation of <see cref="FloatOperation"/> on register bits; operands that it does not have are ignored.</summary>
    bool Float(FloatOperation operation, FloatFormat format, int roundingMode, V a, V b, V c, out V result);

    bool Fence();

    /// <summary>Branches to an offset from this instruction where the comparison holds; always the last primitive of a definition.</summary>
    /// <returns>The backend's own: an executing one says whether the branch is taken.</returns>
    bool Branch(Comparison comparison, V a, V b, int offset);

    bool Jump(int offset);

    /// <summary>Jumps to an address whose lowest bit is ignored.</summary>
    bool JumpTo(V address);

    /// <summary>The address of the next instruction in memory.</summary>
    V NextPc();

    /// <summary>What does not fit the primitives: a function on the hart itself, called with all registers in place.</summary>
    bool Call(delegate*<Hart, in Operands, bool> function, in Operands o);
}

internal enum Signedness : byte
{
    Signed,
    Unsigned,

    /// <summary>The first operand signed, the second unsigned.</summary>
    Mixed,
}

internal enum DivisionPart : byte
{
    Quotient,
    Remainder,
}

internal enum Comparison : byte
{
    Equal,
    NotEqual,
    Less,
    GreaterOrEqual,
    LessUnsigned,
    GreaterOrEqualUnsigned,
}

internal enum BitCount : byte
{
    LeadingZeros,
    TrailingZeros,
    Ones,
}

/// <summary>Width of a memory access and how a load extends it.</summary>
internal enum MemoryWidth : byte
{
    SignedByte,
    SignedHalf,
    SignedWord,
    Double,
    Byte,
    Half,
    Word,
}

internal enum AtomicOperation : byte
{
    Swap,
    Add,
    Xor,
    And,
    Or,
    Min,
    Max,
    MinUnsigned,
    MaxUnsigned,
}

internal enum FloatFormat : byte
{
    Single,
    Double,
}

internal enum FloatOperation : byte
{
    Add,
    Subtract,
    Multiply,
    Divide,
    SquareRoot,

    /// <summary>a * b + c.</summary>
    MultiplyAdd,

    /// <summary>a * b - c.</summary>
    MultiplySubtract,

    /// <summary>-(a * b) - c.</summary>
    NegatedMultiplyAdd,

    /// <summary>-(a * b) + c.</summary>
    NegatedMultiplySubtract,
    Minimum,
    Maximum,
    SignCopy,
    SignNegate,
    SignXor,
    Equal,
    Less,
    LessOrEqual,
    Classify,

    /// <summary>From the other format.</summary>
    Convert,
    ToInt32,
    ToUInt32,
    ToInt64,
    ToUInt64,
    FromInt32,
    FromUInt32,
    FromInt64,
    FromUInt64,
}

internal static class MemoryWidths
{
    /// <summary>The width in bytes.</summary>
    public static int Bytes(this MemoryWidth width) => 1 << ((int)width & 3);

    /// <summary>Extends the low bytes of a value as a load of this width does.</summary>
    public static ulong Extend(this MemoryWidth width, ulong value) => width switch
    {
        MemoryWidth.SignedByte => (ulong)(sbyte)value,
        MemoryWidth.SignedHalf => (ulong)(short)value,
        MemoryWidth.SignedWord => (ulong)(int)value,
        MemoryWidth.Byte => (byte)value,
        MemoryWidth.Half => (ushort)value,
        MemoryWidth.Word => (uint)value,
        _ => value,
    };
}
