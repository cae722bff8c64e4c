namespace VirtKit.Devices.Consoles;

/// <summary>The guest has ended before its console showed what the host was waiting for. The message shows the last lines of output.</summary>
public sealed class GuestEndedException : VirtKitException
{
    /// <summary>Creates the exception without a reason.</summary>
    public GuestEndedException() { }

    /// <summary>Creates the exception with the reason.</summary>
    public GuestEndedException(string message) : base(message) { }

    /// <summary>Creates the exception with the reason and what caused it.</summary>
    public GuestEndedException(string message, Exception innerException) : base(message, innerException) { }

    internal GuestEndedException(string message, VcpuExit? exit, Exception? innerException) : base(message, innerException!) => Exit = exit;

    /// <summary>How the machine stopped; <see langword="null"/> where its run ended by an exception, which is then the inner one.</summary>
    public VcpuExit? Exit { get; }
}
