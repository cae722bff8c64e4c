using System.Runtime.CompilerServices;

namespace VirtKit.Memory;

/// <summary>Which devices have a place in an address space, over all machines of the process. It keeps neither devices nor machines alive.</summary>
internal static class MappedDevices
{
    private static readonly ConditionalWeakTable<IDevice, List<WeakReference<AddressSpace>>> Places = [];
    private static readonly Lock Gate = new();

    /// <summary>Notes a place. A device may stand in the memory and in the port space of one machine; two addresses of one space, or two machines, would share its state.</summary>
    /// <exception cref="ArgumentException">The device has a place already.</exception>
    public static void Claim(IDevice device, AddressSpace space)
    {
        lock (Gate)
        {
            List<WeakReference<AddressSpace>> places = Places.GetOrCreateValue(device);
            places.RemoveAll(static place => !place.TryGetTarget(out AddressSpace? gone) || gone.IsDisposed);
            foreach (WeakReference<AddressSpace> place in places)
            {
                if (place.TryGetTarget(out AddressSpace? other) && (other == space || other.Gate is null || other.Gate != space.Gate))
                    throw new ArgumentException($"Device {device.Window.Name} is mapped already; it has one address in a space, and one machine.", nameof(device));
            }

            places.Add(new WeakReference<AddressSpace>(space));
        }
    }

    public static void Release(IDevice device, AddressSpace space)
    {
        lock (Gate)
        {
            if (Places.TryGetValue(device, out List<WeakReference<AddressSpace>>? places))
                places.RemoveAll(place => !place.TryGetTarget(out AddressSpace? other) || other == space);
        }
    }
}
