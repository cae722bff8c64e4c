using System.Globalization;

namespace VirtKit;

/// <summary>A guest physical address, in bytes. An offset inside a region is never a <see cref="Gpa"/>.</summary>
/// <param name="Value">The address, 0 to 2^64 - 1.</param>
public readonly record struct Gpa(ulong Value) : IComparable<Gpa>
{
    /// <summary>The address <paramref name="offset"/> bytes further on, modulo 2^64.</summary>
    public static Gpa operator +(Gpa address, ulong offset) => new(address.Value + offset);

    /// <summary>The distance in bytes from <paramref name="right"/> to <paramref name="left"/>, modulo 2^64.</summary>
    public static ulong operator -(Gpa left, Gpa right) => left.Value - right.Value;

    /// <summary>Whether <paramref name="left"/> lies below <paramref name="right"/>.</summary>
    public static bool operator <(Gpa left, Gpa right) => left.Value < right.Value;

    /// <summary>Whether <paramref name="left"/> lies above <paramref name="right"/>.</summary>
    public static bool operator >(Gpa left, Gpa right) => left.Value > right.Value;

    /// <summary>Whether <paramref name="left"/> does not lie above <paramref name="right"/>.</summary>
    public static bool operator <=(Gpa left, Gpa right) => left.Value <= right.Value;

    /// <summary>Whether <paramref name="left"/> does not lie below <paramref name="right"/>.</summary>
    public static bool operator >=(Gpa left, Gpa right) => left.Value >= right.Value;

    /// <summary>The same as the operator <c>+</c>, for languages without operators.</summary>
    public static Gpa Add(Gpa left, ulong right) => left + right;

    /// <summary>The same as the operator <c>-</c>, for languages without operators.</summary>
    public static ulong Subtract(Gpa left, Gpa right) => left - right;

    /// <inheritdoc/>
    public int CompareTo(Gpa other) => Value.CompareTo(other.Value);

    /// <summary>The address in hexadecimal, <c>0x80000000</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"0x{Value:x}");
}
