using System.Globalization;

namespace VirtKit.Samples;

/// <summary>A size of memory as the samples' options spell it: a number with an optional suffix K, M or G, powers of 1024.</summary>
/// <param name="Bytes">The size in bytes.</param>
internal readonly record struct MemorySize(ulong Bytes)
{
    public static bool TryParse(string text, out MemorySize size)
    {
        int shift = text.Length == 0 ? 0 : char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => 0 };
        string digits = shift == 0 ? text : text[..^1];
        bool valid = ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) && number <= ulong.MaxValue >> shift;
        size = new MemorySize(valid ? number << shift : 0);
        return valid;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Bytes >> 20}M");
}
