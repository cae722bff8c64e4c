namespace VirtKit.Devices.Consoles;

/// <summary>What a command did in a guest's shell.</summary>
/// <param name="ExitStatus">Its exit status, 0 to 255.</param>
/// <param name="Output">What it wrote to standard output and standard error, with line ends as the command wrote them (LF), as UTF-8.</param>
public sealed record ShellResult(int ExitStatus, string Output)
{
    /// <summary>Whether the start of the output is missing, because it was longer than the console keeps.</summary>
    public bool IsTruncated { get; init; }
}
