namespace VirtKit;

/// <summary>Makes an exit of what a callback or our own code threw. Never throws itself: it is called where an exception would end the host's process.</summary>
internal static class Failure
{
    /// <summary>For where there is not even memory for a text.</summary>
    public static readonly VcpuExit OutOfMemory = new(ExitReason.InternalError, 0, "The host's managed heap is full.");

    /// <param name="what">What failed, for people.</param>
    /// <param name="error">What it threw.</param>
    public static VcpuExit Exit(string what, Exception error)
    {
        try
        {
            return new VcpuExit(ExitReason.InternalError, 0, $"{what}: {error}");
        }
        catch (OutOfMemoryException)
        {
            return OutOfMemory;
        }
        catch (Exception)
        {
            // An exception of the host's own whose text cannot be made.
            return new VcpuExit(ExitReason.InternalError, 0, what);
        }
    }

    /// <summary>As <see cref="Exit(string, Exception)"/>, of a device, which the detail names.</summary>
    public static VcpuExit Exit(string what, IDevice device, Exception error)
    {
        try
        {
            return new VcpuExit(ExitReason.InternalError, 0, $"Device {NameOf(device)}: {error.Message}");
        }
        catch (Exception)
        {
            return error is OutOfMemoryException ? OutOfMemory : new VcpuExit(ExitReason.InternalError, 0, what);
        }
    }

    /// <summary>As <see cref="Exit(string, Exception)"/>, of what runs under a gate: the device's, where the gate is one.</summary>
    public static VcpuExit Exit(string what, object gate, Exception error) => gate is IDevice device ? Exit(what, device, error) : Exit(what, error);

    public static string NameOf(IDevice device)
    {
        try
        {
            return device.Window.Name;
        }
        catch (Exception)
        {
            return "without a name";
        }
    }
}
