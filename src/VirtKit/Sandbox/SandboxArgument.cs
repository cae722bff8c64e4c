using System.Runtime.InteropServices;

namespace VirtKit.Sandboxing;

/// <summary>An argument of <see cref="Sandbox.Call{TResult}"/>, made from the value by conversion. How each type reaches a function in C is said at
/// <see cref="SandboxFunction"/>.</summary>
public readonly ref struct SandboxArgument
{
    private SandboxArgument(ArgumentKind kind, ulong bits)
    {
        Kind = kind;
        Bits = bits;
    }

    private SandboxArgument(ReadOnlySpan<byte> bytes, ArgumentKind kind)
    {
        Kind = kind;
        Bytes = bytes;
    }

    internal ArgumentKind Kind { get; }

    internal ulong Bits { get; }

    internal ReadOnlySpan<byte> Bytes { get; }

    internal string? Text { get; init; }

    /// <summary>How many elements <see cref="Bytes"/> has.</summary>
    internal int Count { get; init; }

    /// <summary>Where a span that the guest may change is to be copied back to.</summary>
    internal Span<byte> Target => MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(Bytes), Bytes.Length);

    /// <summary>A span of any blittable type, which the guest reads: a pointer and the number of elements.</summary>
    public static SandboxArgument In<T>(ReadOnlySpan<T> values) where T : unmanaged => new(MemoryMarshal.AsBytes(values), ArgumentKind.In) { Count = values.Length };

    /// <summary>A span of any blittable type, which the guest reads and writes: a pointer and the number of elements. What the guest leaves is copied back.</summary>
    public static SandboxArgument InOut<T>(Span<T> values) where T : unmanaged => new(MemoryMarshal.AsBytes(values), ArgumentKind.InOut) { Count = values.Length };

    /// <summary>A structure, which the guest reads through a pointer.</summary>
    public static SandboxArgument In<T>(in T value) where T : unmanaged => new(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)), ArgumentKind.Structure);

    /// <summary>A structure, which the guest reads and writes through a pointer.</summary>
    public static SandboxArgument InOut<T>(ref T value) where T : unmanaged => new(MemoryMarshal.AsBytes(new Span<T>(ref value)), ArgumentKind.StructureInOut);

    /// <summary>A <c>bool</c>.</summary>
    public static implicit operator SandboxArgument(bool value) => new(ArgumentKind.Integer, value ? 1UL : 0);

    /// <summary>A <c>uint8_t</c>.</summary>
    public static implicit operator SandboxArgument(byte value) => new(ArgumentKind.Integer, value);

    /// <summary>An <c>int16_t</c>.</summary>
    public static implicit operator SandboxArgument(short value) => new(ArgumentKind.Integer, (ulong)value);

    /// <summary>A <c>uint16_t</c>.</summary>
    public static implicit operator SandboxArgument(ushort value) => new(ArgumentKind.Integer, value);

    /// <summary>An <c>int32_t</c>.</summary>
    public static implicit operator SandboxArgument(int value) => new(ArgumentKind.Integer, (ulong)value);

    /// <summary>A <c>uint32_t</c>.</summary>
    public static implicit operator SandboxArgument(uint value) => new(ArgumentKind.Integer, (ulong)(int)value);

    /// <summary>An <c>int64_t</c> or <c>long</c>.</summary>
    public static implicit operator SandboxArgument(long value) => new(ArgumentKind.Integer, (ulong)value);

    /// <summary>A <c>uint64_t</c> or <c>size_t</c>.</summary>
    public static implicit operator SandboxArgument(ulong value) => new(ArgumentKind.Integer, value);

    /// <summary>A <c>float</c>.</summary>
    public static implicit operator SandboxArgument(float value) => new(ArgumentKind.Single, BitConverter.SingleToUInt32Bits(value));

    /// <summary>A <c>double</c>.</summary>
    public static implicit operator SandboxArgument(double value) => new(ArgumentKind.Double, BitConverter.DoubleToUInt64Bits(value));

    /// <summary>A pointer of the guest's.</summary>
    public static implicit operator SandboxArgument(Gva value) => new(ArgumentKind.Integer, value.Value);

    /// <summary>A <c>const char *</c>: UTF-8 with a zero behind it; <see langword="null"/> is a null pointer.</summary>
    public static implicit operator SandboxArgument(string? value) => new(ArgumentKind.Text, 0) { Text = value };

    /// <summary>A <c>const uint8_t *</c> and a <c>size_t</c>.</summary>
    public static implicit operator SandboxArgument(ReadOnlySpan<byte> value) => In(value);

    /// <summary>A <c>uint8_t *</c> and a <c>size_t</c>; what the guest leaves is copied back.</summary>
    public static implicit operator SandboxArgument(Span<byte> value) => InOut(value);

    /// <summary>A <c>const uint8_t *</c> and a <c>size_t</c>.</summary>
    public static implicit operator SandboxArgument(byte[]? value) => In<byte>(value);

    /// <summary>A <c>const uint8_t *</c> and a <c>size_t</c>.</summary>
    public static implicit operator SandboxArgument(ReadOnlyMemory<byte> value) => In(value.Span);
}

/// <summary>How an argument reaches the guest.</summary>
internal enum ArgumentKind : byte
{
    /// <summary>There is none.</summary>
    Absent,
    Integer,
    Single,
    Double,
    Text,
    In,
    InOut,
    Structure,
    StructureInOut,
}
