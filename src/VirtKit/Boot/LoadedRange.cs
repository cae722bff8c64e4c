namespace VirtKit.Boot;

/// <summary>A range of guest memory that something loaded there claims: its bytes, and what it uses beyond them, such as a kernel's zeroed data.</summary>
/// <param name="Name">What claims it, as messages name it: <c>the kernel</c>.</param>
/// <param name="Start">The first address.</param>
/// <param name="Size">The length in bytes, 1 or more.</param>
public sealed record LoadedRange(string Name, Gpa Start, ulong Size)
{
    /// <summary>The last address of the range.</summary>
    public Gpa Last => Start + (Size - 1);

    /// <summary>The name with address and length.</summary>
    public override string ToString() => $"{Name} at {Start}, {Size} bytes";

    /// <summary>The same at the start of a sentence.</summary>
    internal string ToSentenceStart() => char.ToUpperInvariant(Name[0]) + ToString()[1..];
}
