using System.Diagnostics;

namespace VirtKit.Bench.Runs;

/// <summary>A program and its arguments.</summary>
internal sealed record Invocation(string Program, params string[] Arguments)
{
    /// <summary>Splits a text at spaces; an argument that has spaces itself stands in double quotes.</summary>
    public static Invocation Parse(string text)
    {
        string[] words = [.. System.CommandLine.Parsing.CommandLineParser.SplitCommandLine(text)];
        return words.Length > 0 ? new Invocation(words[0], words[1..]) : throw new BenchException("The command is empty.");
    }

    /// <summary>The same command with more arguments at its end.</summary>
    public Invocation With(params string[] more) => new(Program, [.. Arguments, .. more]);

    public ProcessStartInfo ToStartInfo() => new(Program, Arguments)
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        UseShellExecute = false,
    };

    public override string ToString() => string.Join(' ', Arguments.Prepend(Program));
}
