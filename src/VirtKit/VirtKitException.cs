namespace VirtKit;

/// <summary>Something that the host was asked for cannot be had: a missing resource, an image that cannot be loaded, an engine that cannot run here.
/// Guest behaviour never raises it; misuse of the API raises the <see cref="ArgumentException"/> and <see cref="InvalidOperationException"/> families.</summary>
public class VirtKitException : Exception
{
    /// <summary>Creates the exception without a reason.</summary>
    public VirtKitException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public VirtKitException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public VirtKitException(string message, Exception innerException) : base(message, innerException) { }
}
