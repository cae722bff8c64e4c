namespace VirtKit.State;

/// <summary>Saved state that cannot be restored: truncated, damaged, of another kind of part, or of a newer version. The message names the field.</summary>
public sealed class InvalidSnapshotException : VirtKitException
{
    /// <summary>Creates the exception without a reason.</summary>
    public InvalidSnapshotException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public InvalidSnapshotException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public InvalidSnapshotException(string message, Exception innerException) : base(message, innerException) { }
}
