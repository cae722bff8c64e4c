namespace VirtKit.Samples.BootLinux.Fetch;

/// <summary>The guest's files cannot be had; the message says why.</summary>
internal sealed class FetchException(string message) : Exception(message);
