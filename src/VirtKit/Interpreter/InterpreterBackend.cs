using System.Numerics;
using System.Runtime.CompilerServices;
using VirtKit.Execution.FloatingPoint;
using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>Executes the primitives. Those that may miss, trap or change more than registers are left to the path: <see cref="FastPath"/> handles TLB hits and plain arithmetic and otherwise returns false, <see cref="SlowPath"/> handles everything.</summary>
/// <typeparam name="TPath">How far it goes.</typeparam>
/// <typeparam name="TAddress">Where the instruction's own address is found.</typeparam>
internal unsafe ref struct InterpreterBackend<TPath, TAddress>(GuestCpu cpu, InterpreterContext* context, TAddress address) : IBackend<ulong>
    where TPath : struct, IExecutionPath where TAddress : struct, IInstructionAddress
{
    /// <summary>Where a computed jump goes.</summary>
    public ulong Target;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Constant(ulong value) => value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong PcPlus(int offset) => address.Plus(offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong NextPc() => address.Next;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Read(int slot) => ((ulong*)(context + 1))[slot];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Write(int slot, ulong value)
    {
        ((ulong*)(context + 1))[slot] = value;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Add(ulong a, ulong b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Sub(ulong a, ulong b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong And(ulong a, ulong b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Or(ulong a, ulong b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Xor(ulong a, ulong b) => a ^ b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Not(ulong a) => ~a;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong ShiftLeft(ulong a, ulong amount) => a << (int)amount;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong ShiftRightLogical(ulong a, ulong amount) => a >> (int)amount;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong ShiftRightArithmetic(ulong a, ulong amount) => (ulong)((long)a >> (int)amount);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong RotateRight(ulong a, ulong amount) => BitOperations.RotateRight(a, (int)amount);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong RotateRight32(ulong a, ulong amount) => (ulong)(int)BitOperations.RotateRight((uint)a, (int)amount);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Mul(ulong a, ulong b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong MulHigh(Signedness signedness, ulong a, ulong b) => IntegerArithmetic.MulHigh(signedness, a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Divide(DivisionPart part, Signedness signedness, int bits, ulong a, ulong b) => IntegerArithmetic.Divide(part, signedness, bits, a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong SignExtend(ulong a, int fromBits) => fromBits switch
    {
        8 => (ulong)(sbyte)a,
        16 => (ulong)(short)a,
        32 => (ulong)(int)a,
        _ => a,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong ZeroExtend(ulong a, int fromBits) => fromBits switch
    {
        8 => (byte)a,
        16 => (ushort)a,
        32 => (uint)a,
        _ => a,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Compare(Comparison comparison, ulong a, ulong b) => Holds(comparison, a, b) ? 1UL : 0UL;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Select(ulong condition, ulong a, ulong b) => condition != 0 ? a : b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong Count(BitCount count, int bits, ulong a) => count switch
    {
        BitCount.LeadingZeros => (ulong)(bits == 32 ? BitOperations.LeadingZeroCount((uint)a) : BitOperations.LeadingZeroCount(a)),
        BitCount.TrailingZeros => (ulong)(bits == 32 ? BitOperations.TrailingZeroCount((uint)a) : BitOperations.TrailingZeroCount(a)),
        _ => (ulong)(bits == 32 ? BitOperations.PopCount((uint)a) : BitOperations.PopCount(a)),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong ReverseBytes(ulong a) => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong OrCombine(ulong a) => IntegerArithmetic.OrCombine(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Load(MemoryWidth width, ulong address, out ulong value) => TPath.Load(cpu, context, width, address, out value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Store(MemoryWidth width, ulong address, ulong value) => TPath.Store(cpu, context, width, address, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool LoadPair(ulong address, out ulong low, out ulong high) => TPath.LoadPair(cpu, context, address, out low, out high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool StorePair(ulong address, ulong low, ulong high) => TPath.StorePair(cpu, context, address, low, high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool LoadReserved(MemoryWidth width, ulong address, out ulong value) => TPath.LoadReserved(cpu, width, address, out value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool StoreConditional(MemoryWidth width, ulong address, ulong value, out ulong failed) =>
        TPath.StoreConditional(cpu, width, address, value, out failed);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Atomic(AtomicOperation operation, MemoryWidth width, ulong address, ulong operand, out ulong old) =>
        TPath.Atomic(cpu, context, operation, width, address, operand, out old);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool UseFloat() => TPath.UseFloat(cpu, context);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Float(FloatOperation operation, FloatFormat format, RoundingMode mode, ulong a, ulong b, ulong c, out ulong result) =>
        TPath.Float(cpu, context, operation, format, mode, a, b, c, out result);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Fence()
    {
        Interlocked.MemoryBarrier();
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Branch(Comparison comparison, ulong a, ulong b, int offset) => Holds(comparison, a, b);

    /// <summary>The target stands in the block's exit.</summary>
    public readonly bool Jump(int offset) => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool JumpTo(ulong address)
    {
        Target = address;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Call<TCpu>(delegate*<TCpu, in Operands, bool> function, in Operands o) where TCpu : GuestCpu => TPath.Call(cpu, function, o);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Holds(Comparison comparison, ulong a, ulong b) => comparison switch
    {
        Comparison.Equal => a == b,
        Comparison.NotEqual => a != b,
        Comparison.Less => (long)a < (long)b,
        Comparison.GreaterOrEqual => (long)a >= (long)b,
        Comparison.LessUnsigned => a < b,
        _ => a >= b,
    };
}
