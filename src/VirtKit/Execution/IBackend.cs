using VirtKit.Execution.FloatingPoint;

namespace VirtKit.Execution;

/// <summary>The primitive operations in which instructions are defined. The interpreter executes them, a translator records them.</summary>
/// <typeparam name="V">A 64-bit value: <see cref="ulong"/> when executing, a name when recording.</typeparam>
/// <remarks>Enumerations, widths and offsets are constants in every definition, so a specialised backend has no branches on them.</remarks>
internal unsafe interface IBackend<V> where V : struct
{
    V Constant(ulong value);

    /// <summary>An address relative to this instruction's own.</summary>
    V PcPlus(int offset);

    /// <summary>A register, by the number of its slot.</summary>
    V Read(int slot);

    /// <returns>Always <see langword="true"/>, as of every primitive that cannot trap, so that a definition can end with it.</returns>
    bool Write(int slot, V value);

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

    /// <summary>Division that never traps: by zero the quotient is all ones and the remainder the dividend, the one overflow gives the dividend and 0 (RV-Unpriv §13.2); <paramref name="bits"/> is 32 (operands and result sign-extended) or 64.</summary>
    V Divide(DivisionPart part, Signedness signedness, int bits, V a, V b);

    V SignExtend(V a, int fromBits);

    V ZeroExtend(V a, int fromBits);

    /// <summary>1 where the comparison holds, otherwise 0.</summary>
    V Compare(Comparison comparison, V a, V b);

    /// <summary><paramref name="a"/> where <paramref name="condition"/> is not 0, otherwise <paramref name="b"/>.</summary>
    V Select(V condition, V a, V b);

    V Count(BitCount count, int bits, V a);

    V ReverseBytes(V a);

    /// <summary>Sets each byte to all ones where it is not 0.</summary>
    V OrCombine(V a);

    bool Load(MemoryWidth width, V address, out V value);

    bool Store(MemoryWidth width, V address, V value);

    /// <summary>Loads 16 bytes, the <paramref name="low"/> ones first, as one access: a 128-bit register is two slots.</summary>
    bool LoadPair(V address, out V low, out V high);

    /// <summary>Stores 16 bytes as one access: all of them, or none.</summary>
    bool StorePair(V address, V low, V high);

    bool LoadReserved(MemoryWidth width, V address, out V value);

    /// <summary><paramref name="failed"/> is 0 on success, otherwise 1.</summary>
    bool StoreConditional(MemoryWidth width, V address, V value, out V failed);

    bool Atomic(AtomicOperation operation, MemoryWidth width, V address, V operand, out V old);

    /// <summary>Whether the floating-point unit may be used; makes its state dirty.</summary>
    bool UseFloat();

    /// <summary>An operation of <see cref="FloatOperation"/> on register bits; operands that it does not have are ignored.</summary>
    bool Float(FloatOperation operation, FloatFormat format, RoundingMode mode, V a, V b, V c, out V result);

    bool Fence();

    /// <summary>Branches to an offset from this instruction where the comparison holds; always the last primitive of a definition.</summary>
    /// <returns>The backend's own: an executing one says whether the branch is taken.</returns>
    bool Branch(Comparison comparison, V a, V b, int offset);

    bool Jump(int offset);

    /// <summary>Jumps to an address, a multiple of <see cref="GuestInstructions.Alignment"/>.</summary>
    bool JumpTo(V address);

    /// <summary>The address of the next instruction in memory.</summary>
    V NextPc();

    /// <summary>What does not fit the primitives: a function on the CPU itself, called with all registers in place.</summary>
    /// <typeparam name="TCpu">The CPU's class.</typeparam>
    bool Call<TCpu>(delegate*<TCpu, in Operands, bool> function, in Operands o) where TCpu : GuestCpu;
}
