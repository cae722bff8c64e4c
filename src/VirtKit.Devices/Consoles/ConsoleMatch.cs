using System.Text.RegularExpressions;

namespace VirtKit.Devices.Consoles;

/// <summary>What <see cref="MemoryConsole.ExpectAsync(Regex, TimeSpan, CancellationToken)"/> has found and consumed.</summary>
/// <param name="Before">The output before the match.</param>
/// <param name="Match">The match with its groups.</param>
public sealed record ConsoleMatch(string Before, Match Match);
