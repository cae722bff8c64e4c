using System.Globalization;
using System.Text;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>What a <see cref="Shadow"/> tells of the first difference that it finds.</summary>
/// <param name="guest">The guest's instructions.</param>
/// <param name="cache">Knows the host's.</param>
internal sealed unsafe class DifferenceReport(GuestInstructions guest, TranslationCache cache)
{
    /// <param name="difference">In one line.</param>
    /// <param name="retired">How many instructions of the block retired.</param>
    /// <param name="pc">Where the block begins.</param>
    /// <param name="before">The registers there.</param>
    /// <param name="expected">The registers that were predicted.</param>
    /// <param name="actual">The registers that are there.</param>
    /// <param name="code">The instructions from the block's start, as they stand in memory, with their addresses.</param>
    /// <param name="host">Where the block's translation begins.</param>
    public string Write(
        string difference, int retired, Gva pc, ReadOnlySpan<byte> before, ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual, IEnumerable<(ulong Pc, byte[] Code)> code, byte* host)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"CrossCheck: the block at {pc} differs after {retired} instructions: {difference}\n\nState\n");
        text.Append(StateDifference.Table(guest.Registers, before, expected, actual));
        text.Append("\nGuest code\n");
        foreach ((ulong address, byte[] instruction) in code)
        {
            // As a number, the first byte last.
            string bytes = Convert.ToHexStringLower([.. instruction.Reverse()]);
            text.Append(CultureInfo.InvariantCulture, $"  {address:x}  {bytes,-8}  {guest.Disassemble(instruction, new Gva(address))}\n");
        }

        return text.Append(CultureInfo.InvariantCulture, $"\nHost code at 0x{(nint)host:x}\n").Append(cache.Disassemble(host)).ToString();
    }
}
