namespace VirtKit.State;

/// <summary>A recorded run could not be repeated: the machine does something else than it did then. The message says where that was found first.</summary>
public sealed class ReplayMismatchException : VirtKitException
{
    /// <summary>Creates the exception without a reason.</summary>
    public ReplayMismatchException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public ReplayMismatchException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public ReplayMismatchException(string message, Exception innerException) : base(message, innerException) { }
}
