using System.Runtime.CompilerServices;

namespace VirtKit.Execution;

/// <summary>Read-modify-write of guest memory in one step, seen so by every other thread.</summary>
internal static unsafe class AtomicMemory
{
    /// <param name="pointer">Naturally aligned.</param>
    /// <param name="size">4 or 8.</param>
    /// <returns>The bytes before, zero-extended.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Exchange(AtomicOperation operation, byte* pointer, int size, ulong operand) =>
        size == 4 ? Exchange32(operation, ref *(int*)pointer, (int)operand) : Exchange64(operation, ref *(long*)pointer, (long)operand);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Exchange32(AtomicOperation operation, ref int target, int operand)
    {
        switch (operation)
        {
            case AtomicOperation.Swap:
                return (uint)Interlocked.Exchange(ref target, operand);
            case AtomicOperation.Add:
                return (uint)(Interlocked.Add(ref target, operand) - operand);
            case AtomicOperation.And:
                return (uint)Interlocked.And(ref target, operand);
            case AtomicOperation.Or:
                return (uint)Interlocked.Or(ref target, operand);
            default:
                while (true)
                {
                    int old = Volatile.Read(ref target);
                    int wanted = operation switch
                    {
                        AtomicOperation.Xor => old ^ operand,
                        AtomicOperation.Min => Math.Min(old, operand),
                        AtomicOperation.Max => Math.Max(old, operand),
                        AtomicOperation.MinUnsigned => (int)Math.Min((uint)old, (uint)operand),
                        _ => (int)Math.Max((uint)old, (uint)operand),
                    };
                    if (Interlocked.CompareExchange(ref target, wanted, old) == old)
                        return (uint)old;
                }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Exchange64(AtomicOperation operation, ref long target, long operand)
    {
        switch (operation)
        {
            case AtomicOperation.Swap:
                return (ulong)Interlocked.Exchange(ref target, operand);
            case AtomicOperation.Add:
                return (ulong)(Interlocked.Add(ref target, operand) - operand);
            case AtomicOperation.And:
                return (ulong)Interlocked.And(ref target, operand);
            case AtomicOperation.Or:
                return (ulong)Interlocked.Or(ref target, operand);
            default:
                while (true)
                {
                    long old = Volatile.Read(ref target);
                    long wanted = operation switch
                    {
                        AtomicOperation.Xor => old ^ operand,
                        AtomicOperation.Min => Math.Min(old, operand),
                        AtomicOperation.Max => Math.Max(old, operand),
                        AtomicOperation.MinUnsigned => (long)Math.Min((ulong)old, (ulong)operand),
                        _ => (long)Math.Max((ulong)old, (ulong)operand),
                    };
                    if (Interlocked.CompareExchange(ref target, wanted, old) == old)
                        return (ulong)old;
                }
        }
    }
}
