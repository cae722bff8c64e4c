using System.Globalization;

namespace VirtKit.Samples;

/// <summary>Sizes as the samples' options spell them: a number with an optional suffix K, M or G, powers of 1024.</summary>
internal static class MemorySize
{
    public static bool TryParse(string text, out ulong bytes)
    {
        int shift = text.Length == 0 ? 0 : char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => 0 };
        string digits = shift == 0 ? text : text[..^1];
        bool valid = ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out bytes) && bytes <= ulong.MaxValue >> shift;
        bytes <<= shift;
        return valid;
    }
}
