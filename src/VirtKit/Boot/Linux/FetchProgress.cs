namespace VirtKit.Boot.Linux;

/// <summary>How far a fetch is. While a file comes in, it is reported a few times a second.</summary>
/// <param name="What">The file that comes in, or a sentence of what is done.</param>
/// <param name="Received">The file's bytes so far.</param>
/// <param name="Size">The file's length in bytes where it is known; <see langword="null"/> for a sentence, too.</param>
/// <param name="Kind">Which of them it is.</param>
public readonly record struct FetchProgress(string What, long Received, long? Size, FetchProgressKind Kind);

/// <summary>What a <see cref="FetchProgress"/> reports.</summary>
public enum FetchProgressKind
{
    /// <summary>A sentence.</summary>
    Message,

    /// <summary>A part of a file.</summary>
    Receiving,

    /// <summary>A whole file; each file that came in is reported so once.</summary>
    Received,
}
