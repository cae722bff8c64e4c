namespace VirtKit.Testing;

/// <summary>A device did not do what a test demands of every device. The message says at which step.</summary>
public sealed class DeviceTestException : VirtKitException
{
    /// <summary>Creates the exception without a reason.</summary>
    public DeviceTestException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public DeviceTestException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public DeviceTestException(string message, Exception innerException) : base(message, innerException) { }
}
