namespace VirtKit.Execution;

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

/// <summary>Even and odd values are opposites of each other.</summary>
internal enum Comparison : byte
{
    Equal,
    NotEqual,
    Less,
    GreaterOrEqual,
    LessUnsigned,
    GreaterOrEqualUnsigned,
}

internal static class Comparisons
{
    public static Comparison Opposite(this Comparison comparison) => comparison ^ (Comparison)1;
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

/// <summary>A format, and how a register of 64 bits holds it: the ISA's definitions say which.</summary>
internal enum FloatFormat : byte
{
    /// <summary>A single with ones above (<see cref="FloatFormats.AboveBoxed"/>); a register with anything else above holds none.</summary>
    BoxedSingle,
    Double,

    /// <summary>A single whatever stands above; above a result stand zeroes.</summary>
    Single,
}

internal static class FloatFormats
{
    /// <summary>What stands above a <see cref="FloatFormat.BoxedSingle"/>.</summary>
    public const ulong AboveBoxed = 0xffffffff_00000000;
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

    /// <summary>A double to a single of this format, or a <see cref="FloatFormat.Single"/> to a double.</summary>
    Convert,

    /// <summary>A <see cref="FloatFormat.BoxedSingle"/> to a double.</summary>
    ConvertBoxed,
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
