namespace VirtKit.Boot.Linux;

/// <summary>A Linux guest's files cannot be had: no repository has them, a check failed, or the host lacks a program. The message says which, and what to do.</summary>
public sealed class GuestFilesException : VirtKitException
{
    /// <summary>Creates the exception without a reason.</summary>
    public GuestFilesException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public GuestFilesException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public GuestFilesException(string message, Exception innerException) : base(message, innerException) { }

    /// <summary>The program that is not installed, <c>xz</c>; <see langword="null"/> where that is not the reason.</summary>
    public string? MissingProgram { get; init; }
}
