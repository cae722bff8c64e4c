using System.Runtime.CompilerServices;

namespace VirtKit.Execution;

/// <summary>Integer operations whose definition takes more than one host operation, for executing backends and as a translator's fallback.</summary>
internal static class IntegerArithmetic
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong MulHigh(Signedness signedness, ulong a, ulong b) => signedness switch
    {
        Signedness.Signed => (ulong)Math.BigMul((long)a, (long)b, out _),
        Signedness.Unsigned => Math.BigMul(a, b, out _),
        _ => Math.BigMul(a, b, out _) - ((long)a < 0 ? b : 0),
    };

    /// <summary>RV-Unpriv §13.2, table 12: by zero the quotient is all ones and the remainder the dividend; the one overflow gives the dividend and 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Divide(DivisionPart part, Signedness signedness, int bits, ulong a, ulong b)
    {
        if (signedness == Signedness.Signed)
        {
            long dividend = bits == 32 ? (int)a : (long)a, divisor = bits == 32 ? (int)b : (long)b;
            if (divisor == 0)
                return part == DivisionPart.Quotient ? ulong.MaxValue : (ulong)dividend;
            // -1 apart: the host traps on the overflow that the guest defines.
            if (divisor == -1)
                return part == DivisionPart.Quotient ? (bits == 32 ? (ulong)(int)-dividend : (ulong)-dividend) : 0;
            return (ulong)(part == DivisionPart.Quotient ? dividend / divisor : dividend % divisor);
        }

        if (bits == 32)
        {
            uint dividend = (uint)a, divisor = (uint)b;
            uint result = divisor == 0 ? (part == DivisionPart.Quotient ? uint.MaxValue : dividend)
                : part == DivisionPart.Quotient ? dividend / divisor : dividend % divisor;
            return (ulong)(int)result;
        }

        if (b == 0)
            return part == DivisionPart.Quotient ? ulong.MaxValue : a;
        return part == DivisionPart.Quotient ? a / b : a % b;
    }

    /// <summary>Zbb orc.b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong OrCombine(ulong a)
    {
        const ulong Low7 = 0x7f7f7f7f_7f7f7f7f;
        ulong highBits = ((a & Low7) + Low7 | a) & ~Low7;
        return (highBits >> 7) * 0xff;
    }
}
