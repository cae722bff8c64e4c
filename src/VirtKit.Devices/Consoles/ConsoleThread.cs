namespace VirtKit.Devices.Consoles;

/// <summary>A background thread that serves one direction of a stream, which may block it for ever.</summary>
internal static class ConsoleThread
{
    private const int StackSize = 256 << 10;

    /// <summary>Starts it. What it runs lets no exception out.</summary>
    /// <exception cref="VirtKitException">The host has no more threads.</exception>
    public static void Start(ThreadStart run, string name)
    {
        try
        {
            new Thread(run, StackSize) { IsBackground = true, Name = name }.Start();
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            throw new VirtKitException($"The host starts no thread for a console: {e.Message}", e);
        }
    }
}
