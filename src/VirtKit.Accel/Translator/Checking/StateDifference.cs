using System.Globalization;
using System.Text;
using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>Where two states of a CPU differ, by the names of its registers.</summary>
internal static class StateDifference
{
    /// <returns>Nothing where they are equal in every bit.</returns>
    public static string? Find(IReadOnlyList<GuestRegister> registers, ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual)
    {
        if (expected.SequenceEqual(actual))
            return null;
        var parts = new List<string>();
        foreach (GuestRegister register in registers)
        {
            ulong e = register.Get(expected), a = register.Get(actual);
            if (e != a)
                parts.Add(string.Create(CultureInfo.InvariantCulture, $"{register.Name} is {a:x}, not {e:x}"));
        }

        // What lies between the registers is no state, but a difference there is still one that nobody wanted.
        return parts.Count > 0 ? string.Join("; ", parts) : $"byte {expected.CommonPrefixLength(actual)} of the state, between its registers";
    }

    /// <summary>The states beside each other, a register a line; a star stands where the last two differ. Registers that are zero in all are left out.</summary>
    public static string Table(IReadOnlyList<GuestRegister> registers, ReadOnlySpan<byte> before, ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"  {"",-14}  {"before",-16}  {"expected",-16}  translated\n");
        foreach (GuestRegister register in registers)
        {
            ulong a = register.Get(before), b = register.Get(expected), c = register.Get(actual);
            if ((a | b | c) != 0)
                text.Append(CultureInfo.InvariantCulture, $"{(b == c ? ' ' : '*')} {register.Name,-14}  {a:x16}  {b:x16}  {c:x16}\n");
        }

        return text.ToString();
    }
}
