using System.Globalization;
using System.Text;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>What a <see cref="Shadow"/> tells of the first difference that it finds.</summary>
/// <param name="guest">Reads the guest's instructions.</param>
/// <param name="cache">Knows the host's.</param>
internal sealed unsafe class DifferenceReport(RiscVDisassembler guest, TranslationCache cache)
{
    /// <param name="difference">In one line.</param>
    /// <param name="retired">How many instructions of the block retired.</param>
    /// <param name="words">The instructions from the block's start, as they stand in memory, with their addresses.</param>
    /// <param name="host">Where the block's translation begins.</param>
    public string Write(
        string difference, int retired, in RiscVState before, in RiscVState expected, in RiscVState actual, ReadOnlySpan<(ulong Pc, uint Word)> words, byte* host)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"CrossCheck: the block at {new Gva(before.Pc)} differs after {retired} instructions: {difference}\n\nState\n");
        text.Append(StateDifference.Table(before, expected, actual));
        text.Append("\nGuest code\n");
        foreach ((ulong pc, uint word) in words)
        {
            string instruction = guest.Disassemble(word, new Gva(pc), out int length);
            text.Append(CultureInfo.InvariantCulture, $"  {pc:x}  {(length == 2 ? $"{word:x4}    " : $"{word:x8}")}  {instruction}\n");
        }

        return text.Append(CultureInfo.InvariantCulture, $"\nHost code at 0x{(nint)host:x}\n").Append(cache.Disassemble(host)).ToString();
    }
}
