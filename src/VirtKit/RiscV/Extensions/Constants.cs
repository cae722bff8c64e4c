using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>A constant as a type, over which the compiler specialises a family.</summary>
internal interface IConstant<T>
{
    static abstract T Value { get; }
}

internal readonly struct Equal : IConstant<Comparison> { public static Comparison Value => Comparison.Equal; }
internal readonly struct NotEqual : IConstant<Comparison> { public static Comparison Value => Comparison.NotEqual; }
internal readonly struct Less : IConstant<Comparison> { public static Comparison Value => Comparison.Less; }
internal readonly struct GreaterOrEqual : IConstant<Comparison> { public static Comparison Value => Comparison.GreaterOrEqual; }
internal readonly struct LessUnsigned : IConstant<Comparison> { public static Comparison Value => Comparison.LessUnsigned; }
internal readonly struct GreaterOrEqualUnsigned : IConstant<Comparison> { public static Comparison Value => Comparison.GreaterOrEqualUnsigned; }

// What memory is read as: sign-extended or not, by its bits.
internal readonly struct S8 : IConstant<MemoryWidth> { public static MemoryWidth Value => MemoryWidth.SignedByte; }
internal readonly struct S16 : IConstant<MemoryWidth> { public static MemoryWidth Value => MemoryWidth.SignedHalf; }
internal readonly struct S32 : IConstant<MemoryWidth> { public static MemoryWidth Value => MemoryWidth.SignedWord; }
internal readonly struct U8 : IConstant<MemoryWidth> { public static MemoryWidth Value => MemoryWidth.Byte; }
internal readonly struct U16 : IConstant<MemoryWidth> { public static MemoryWidth Value => MemoryWidth.Half; }
internal readonly struct U32 : IConstant<MemoryWidth> { public static MemoryWidth Value => MemoryWidth.Word; }
internal readonly struct U64 : IConstant<MemoryWidth> { public static MemoryWidth Value => MemoryWidth.Double; }

internal readonly struct Signed : IConstant<Signedness> { public static Signedness Value => Signedness.Signed; }
internal readonly struct Unsigned : IConstant<Signedness> { public static Signedness Value => Signedness.Unsigned; }
internal readonly struct Mixed : IConstant<Signedness> { public static Signedness Value => Signedness.Mixed; }

internal readonly struct LeadingZeros : IConstant<BitCount> { public static BitCount Value => BitCount.LeadingZeros; }
internal readonly struct TrailingZeros : IConstant<BitCount> { public static BitCount Value => BitCount.TrailingZeros; }
internal readonly struct Ones : IConstant<BitCount> { public static BitCount Value => BitCount.Ones; }

internal readonly struct N1 : IConstant<int> { public static int Value => 1; }
internal readonly struct N2 : IConstant<int> { public static int Value => 2; }
internal readonly struct N3 : IConstant<int> { public static int Value => 3; }
internal readonly struct N8 : IConstant<int> { public static int Value => 8; }
internal readonly struct N16 : IConstant<int> { public static int Value => 16; }
internal readonly struct N32 : IConstant<int> { public static int Value => 32; }
internal readonly struct N64 : IConstant<int> { public static int Value => 64; }
