namespace VirtKit.Boot;

/// <summary>What was to be loaded overlaps something that is loaded already. Nothing has been written to guest memory when it is thrown.</summary>
public sealed class LoadOverlapException : VirtKitException
{
    /// <summary>Creates the exception without a reason.</summary>
    public LoadOverlapException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public LoadOverlapException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public LoadOverlapException(string message, Exception innerException) : base(message, innerException) { }

    /// <summary>Creates the exception with both ranges.</summary>
    /// <param name="wanted">What was to be loaded.</param>
    /// <param name="taken">What is there already.</param>
    public LoadOverlapException(LoadedRange wanted, LoadedRange taken)
        : base($"{(wanted ?? throw new ArgumentNullException(nameof(wanted))).ToSentenceStart()}, overlaps {taken}. Less to load, or more memory, makes room; Machine.Reset forgets what was loaded before.")
    {
        Wanted = wanted;
        Taken = taken;
    }

    /// <summary>What was to be loaded, where the exception knows it.</summary>
    public LoadedRange? Wanted { get; }

    /// <summary>What is there already, where the exception knows it.</summary>
    public LoadedRange? Taken { get; }
}
