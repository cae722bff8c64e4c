namespace VirtKit;

/// <summary>A file that was to be loaded (ELF, Linux Image, device tree, archive) is malformed, truncated or of a kind that is not supported.
/// Nothing has been written to guest memory when it is thrown.</summary>
public sealed class InvalidImageException : VirtKitException
{
    /// <summary>Creates the exception without a reason.</summary>
    public InvalidImageException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public InvalidImageException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public InvalidImageException(string message, Exception innerException) : base(message, innerException) { }
}
