namespace VirtKit.Sandboxing;

/// <summary>A function of the host that guests import by name. Immutable; sandboxes share it.</summary>
internal abstract class HostFunction(string name)
{
    public string Name => name;

    /// <summary>Reads the arguments, calls, and returns the result to the guest.</summary>
    /// <returns>Nothing, or what has to complete before the guest goes on.</returns>
    public abstract PendingCall? Invoke(Sandbox sandbox);
}
