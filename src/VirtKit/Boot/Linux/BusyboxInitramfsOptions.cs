namespace VirtKit.Boot.Linux;

/// <summary>What a <see cref="BusyboxInitramfs"/> holds beside a shell.</summary>
public sealed record BusyboxInitramfsOptions
{
    /// <summary>A shell command that is run instead of an interactive shell; the machine then powers off with its status. <see langword="null"/>, the default, for the shell.</summary>
    public string? Command { get; init; }

    /// <summary>Whether <c>mount</c> finds ext2 to ext4 and FAT: their modules, which are four times the rest. Default: <see langword="false"/>.</summary>
    public bool MountsDisks { get; init; }

    /// <summary>Further modules, each of which <c>load NAME</c> inserts with its dependencies. One that is built in, or that the folder does not have, is left out.</summary>
    public IReadOnlyList<string> Modules { get; init; } = [];
}
