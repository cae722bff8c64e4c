using System.Runtime.CompilerServices;
using VirtKit.Devices.Consoles;
using VirtKit.State;

namespace VirtKit.Devices;

/// <summary>Which device has which backend, over all machines of the process: two devices on one disk would destroy its file systems, and two on one port or console
/// would each get a part of the input. It keeps neither alive; a device that nobody refers to any more has lost its backend.</summary>
internal static class AttachedBackends
{
    private static readonly ConditionalWeakTable<object, WeakReference<object>> Devices = [];
    private static readonly Lock Gate = new();

    /// <summary>Gives a backend to a device.</summary>
    /// <param name="backend">The backend; <see cref="NullConsole"/> serves any number of devices.</param>
    /// <param name="device">The device.</param>
    /// <param name="parameter">The parameter that named the backend.</param>
    /// <exception cref="ArgumentException">Another device has it.</exception>
    public static void Attach(object backend, object device, string parameter)
    {
        if (backend is NullConsole)
            return;
        lock (Gate)
        {
            if (Devices.TryGetValue(backend, out WeakReference<object>? reference) && reference.TryGetTarget(out object? other) && !ReferenceEquals(other, device))
                throw new ArgumentException($"The {backend.GetType().Name} is attached to a {other.GetType().Name} already, and serves one device at a time.", parameter);
            Devices.AddOrUpdate(backend, new WeakReference<object>(device));
        }
    }

    /// <summary>Passes over a backend whose content is the machine's (a disk), where it can be saved (<see cref="ISnapshotable"/>), as a part of its device.</summary>
    /// <exception cref="InvalidSnapshotException">The backend was saved with its device, and this one keeps no state.</exception>
    public static void Visit(StateVisitor visitor, string name, object backend) => Visit(visitor, name, backend, visitor.Part);

    /// <summary>As <see cref="Visit(StateVisitor, string, object)"/>, over what waits in a backend for the guest.</summary>
    public static void VisitOutside(StateVisitor visitor, string name, object backend) => Visit(visitor, name, backend, visitor.Outside);

    private static void Visit(StateVisitor visitor, string name, object backend, Action<string, ISnapshotable> visit)
    {
        bool isSaved = backend is ISnapshotable;
        visitor.Field($"{name} saved", ref isSaved);
        if (!isSaved)
            return;
        visit(name, backend as ISnapshotable ?? new Stateless(name, backend));
    }

    /// <summary>A backend without state, which cannot be given any; a machine that repeats a recorded run does not ask for that.</summary>
    private sealed class Stateless(string name, object backend) : ISnapshotable
    {
        public void Visit(StateVisitor visitor) => visitor.Require(false, name, $"was saved, and a {backend.GetType().Name} keeps no state");
    }

    /// <summary>Takes a backend back, if this device still has it.</summary>
    public static void Detach(object backend, object device)
    {
        lock (Gate)
        {
            if (Devices.TryGetValue(backend, out WeakReference<object>? reference) && reference.TryGetTarget(out object? other) && ReferenceEquals(other, device))
                Devices.Remove(backend);
        }
    }
}
