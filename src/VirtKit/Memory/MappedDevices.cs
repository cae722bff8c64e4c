using System.Runtime.CompilerServices;

namespace VirtKit.Memory;

/// <summary>Which devices have a place in an address space, over all machines of the process. It keeps neither devices nor machines alive.</summary>
internal static class MappedDevices
{
    private static readonly ConditionalWeakTable<IDevice, WeakReference<AddressSpace>> Places = [];
    private static readonly Lock Gate = new();

    /// <exception cref="ArgumentException">The device has a place already.</exception>
    public static void Claim(IDevice device, AddressSpace space)
    {
        lock (Gate)
        {
            if (Places.TryGetValue(device, out WeakReference<AddressSpace>? place) && place.TryGetTarget(out AddressSpace? other) && !other.IsDisposed)
                throw new ArgumentException($"Device {device.Window.Name} is mapped already; a device has one place, in one address space.", nameof(device));
            Places.AddOrUpdate(device, new WeakReference<AddressSpace>(space));
        }
    }

    public static void Release(IDevice device)
    {
        lock (Gate)
            Places.Remove(device);
    }
}
