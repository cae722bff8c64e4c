using System.Globalization;

namespace VirtKit.Testing;

/// <summary>A script of accesses as text, a step a line.</summary>
/// <remarks>
/// <code>
/// # a remark
/// w4 0 6 NUMBER      writes 6 to the 4-byte register at offset 0; numbers are hexadecimal, the name is for the transcript
/// +1000              lets 1000 ns pass, a decimal number
/// r4 0 NUMBER        reads it
/// ! cable out        an event that the harness has an action for
/// reset              resets the device
/// </code>
/// </remarks>
public static class DeviceScript
{
    /// <summary>Reads a script.</summary>
    /// <param name="text">The text; empty lines mean nothing.</param>
    /// <returns>A step for each line.</returns>
    /// <exception cref="FormatException">A line that is none; the message has its number.</exception>
    public static IReadOnlyList<Action<DeviceHarness>> Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<Action<DeviceHarness>> steps = [];
        int number = 0;
        foreach (string line in text.ReplaceLineEndings("\n").Split('\n', StringSplitOptions.TrimEntries))
        {
            number++;
            if (line.Length > 0)
                steps.Add(StepOf(line) ?? throw new FormatException($"Line {number} of the script is none: \"{line}\"."));
        }

        return steps;
    }

    private static Action<DeviceHarness>? StepOf(string line)
    {
        switch (line[0])
        {
            case '#':
                return harness => harness.Note(line[1..].Trim());
            case '!':
                return harness => harness.RunEvent(line[1..].Trim());
            case '+' when ulong.TryParse(line.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out ulong nanoseconds):
                return harness => harness.Advance(nanoseconds);
        }

        if (line == "reset")
            return harness => harness.Reset();
        string[] words = line.Split(' ', 4, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words[0] is not [('r' or 'w') and var kind, ('1' or '2' or '4' or '8') and var width] || words.Length < 2 || !TryNumber(words[1], out ulong offset))
            return null;
        int size = width - '0';
        if (kind == 'r')
            return harness => harness.Read(string.Join(' ', words[2..]), offset, size);
        if (words.Length < 3 || !TryNumber(words[2], out ulong value))
            return null;
        return harness => harness.Write(string.Join(' ', words[3..]), offset, size, value);
    }

    private static bool TryNumber(string text, out ulong value) => ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
}
