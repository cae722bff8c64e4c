using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VirtKit.Sandboxing;

/// <summary>Which types of .NET reach a guest, and how. Every test of a type is a constant once a method is compiled for it.</summary>
internal static class GuestTypes
{
    /// <summary>Why no register and no pointer can stand for a type; <see langword="null"/> where one can.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static string? Check<T>() where T : allows ref struct =>
        IsInteger<T>() || IsFloat<T>() || IsText<T>() || IsSpan<T>() || typeof(T) == typeof(Sandbox) || !RuntimeHelpers.IsReferenceOrContainsReferences<T>()
            ? null : $"{typeof(T)} has no meaning in a guest: numbers, Gva, string, spans of numbers and structures without references have.";

    /// <summary>As <see cref="Check"/>, of what a host function returns.</summary>
    public static string? CheckResult<T>() =>
        !RuntimeHelpers.IsReferenceOrContainsReferences<T>() ? null : $"{typeof(T)} cannot be returned to a guest, which has no memory for it: let the guest pass a span to fill.";

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsInteger<T>() where T : allows ref struct =>
        typeof(T) == typeof(bool) || typeof(T) == typeof(byte) || typeof(T) == typeof(sbyte) || typeof(T) == typeof(short) || typeof(T) == typeof(ushort) || typeof(T) == typeof(char)
        || typeof(T) == typeof(int) || typeof(T) == typeof(uint) || typeof(T) == typeof(long) || typeof(T) == typeof(ulong) || typeof(T) == typeof(Gva) || typeof(T).IsEnum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFloat<T>() where T : allows ref struct => typeof(T) == typeof(float) || typeof(T) == typeof(double);

    /// <summary>Strings, and arrays and memory of bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsText<T>() where T : allows ref struct => typeof(T) == typeof(string) || typeof(T) == typeof(byte[]) || typeof(T) == typeof(ReadOnlyMemory<byte>);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsSpan<T>() where T : allows ref struct =>
        IsSpanOf<T, byte>() || IsSpanOf<T, sbyte>() || IsSpanOf<T, short>() || IsSpanOf<T, ushort>() || IsSpanOf<T, int>() || IsSpanOf<T, uint>()
        || IsSpanOf<T, long>() || IsSpanOf<T, ulong>() || IsSpanOf<T, float>() || IsSpanOf<T, double>();

    /// <summary>Whether it is a span through which is written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsWritableSpan<T>() where T : allows ref struct =>
        typeof(T) == typeof(Span<byte>) || typeof(T) == typeof(Span<sbyte>) || typeof(T) == typeof(Span<short>) || typeof(T) == typeof(Span<ushort>) || typeof(T) == typeof(Span<int>)
        || typeof(T) == typeof(Span<uint>) || typeof(T) == typeof(Span<long>) || typeof(T) == typeof(Span<ulong>) || typeof(T) == typeof(Span<float>) || typeof(T) == typeof(Span<double>);

    /// <summary>An integer as a register holds it: 32 bits are sign-extended, whether they have a sign or not; fewer are extended by their own sign.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ToRegister<T>(scoped ref T value) where T : allows ref struct
    {
        if (typeof(T) == typeof(sbyte))
            return (ulong)Unsafe.As<T, sbyte>(ref value);
        if (typeof(T) == typeof(short))
            return (ulong)Unsafe.As<T, short>(ref value);
        return Unsafe.SizeOf<T>() switch
        {
            1 => Unsafe.As<T, byte>(ref value),
            2 => Unsafe.As<T, ushort>(ref value),
            4 => (ulong)Unsafe.As<T, int>(ref value),
            _ => Unsafe.As<T, ulong>(ref value),
        };
    }

    /// <summary>The low bits of a register as an integer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FromRegister<T>(ulong register, out T value) where T : allows ref struct
    {
        Unsafe.SkipInit(out value);
        if (typeof(T) == typeof(bool))
            Unsafe.As<T, bool>(ref value) = (byte)register != 0;
        else if (Unsafe.SizeOf<T>() == 1)
            Unsafe.As<T, byte>(ref value) = (byte)register;
        else if (Unsafe.SizeOf<T>() == 2)
            Unsafe.As<T, ushort>(ref value) = (ushort)register;
        else if (Unsafe.SizeOf<T>() == 4)
            Unsafe.As<T, uint>(ref value) = (uint)register;
        else
            Unsafe.As<T, ulong>(ref value) = register;
    }

    /// <summary>A span's elements as bytes.</summary>
    /// <param name="count">How many elements it has.</param>
    public static Span<byte> AsBytes<T>(ref T span, out int count) where T : allows ref struct
    {
        // A span and a read-only one of the same type have the same layout.
        Span<byte> whole = Unsafe.As<T, Span<byte>>(ref span);
        count = whole.Length;
        return MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(whole), checked(count * ElementSize<T>()));
    }

    /// <summary>Bytes as a span of its elements; what is left behind the last whole element is dropped.</summary>
    public static void FromBytes<T>(Span<byte> bytes, out T span) where T : allows ref struct
    {
        Unsafe.SkipInit(out span);
        Unsafe.As<T, Span<byte>>(ref span) = MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(bytes), bytes.Length / ElementSize<T>());
    }

    /// <summary>The size of a span's elements in bytes.</summary>
    public static int ElementSize<T>() where T : allows ref struct =>
        IsSpanOf<T, byte>() || IsSpanOf<T, sbyte>() ? 1
        : IsSpanOf<T, short>() || IsSpanOf<T, ushort>() ? 2
        : IsSpanOf<T, int>() || IsSpanOf<T, uint>() || IsSpanOf<T, float>() ? 4 : 8;

    /// <summary>A structure as bytes.</summary>
    public static Span<byte> BytesOf<T>(ref T value) where T : allows ref struct => MemoryMarshal.CreateSpan(ref Unsafe.As<T, byte>(ref value), Unsafe.SizeOf<T>());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsSpanOf<T, TElement>() where T : allows ref struct => typeof(T) == typeof(Span<TElement>) || typeof(T) == typeof(ReadOnlySpan<TElement>);
}
