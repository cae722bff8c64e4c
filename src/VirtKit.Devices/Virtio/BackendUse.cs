using System.Runtime.CompilerServices;

namespace VirtKit.Devices.Virtio;

/// <summary>Which device uses a disk's or a network's backend: one at a time, since a backend is called under its device's gate only. Thread-safe.</summary>
internal static class BackendUse
{
    // NOTE(design): a table beside the objects, and not a member of the interfaces: a backend that a user writes is covered too, and need not count its users.
    private static readonly ConditionalWeakTable<object, WeakReference<VirtioDevice>> Users = [];

    /// <summary>Takes a backend for a device, until it is released or the device is collected.</summary>
    /// <param name="backend">The backend.</param>
    /// <param name="device">Who uses it.</param>
    /// <param name="parameter">The caller's parameter that brought it.</param>
    /// <exception cref="ArgumentException">Another device uses it.</exception>
    public static void Claim(object backend, VirtioDevice device, string parameter)
    {
        lock (Users)
        {
            if (Users.TryGetValue(backend, out WeakReference<VirtioDevice>? user) && user.TryGetTarget(out VirtioDevice? other))
                throw new ArgumentException($"Another {other.Name} uses this backend; it can be used again when that one, or its board, has been disposed of.", parameter);
            Users.AddOrUpdate(backend, new WeakReference<VirtioDevice>(device));
        }
    }

    /// <summary>Gives a backend back; nothing where the device does not use it.</summary>
    public static void Release(object backend, VirtioDevice device)
    {
        lock (Users)
        {
            if (Users.TryGetValue(backend, out WeakReference<VirtioDevice>? user) && user.TryGetTarget(out VirtioDevice? owner) && owner == device)
                Users.Remove(backend);
        }
    }
}
