using System.Runtime.CompilerServices;

namespace VirtKit.Memory;

/// <summary>Which devices are mapped in an address space, over all machines of the process. It keeps neither devices nor machines alive.</summary>
internal static class MappedDevices
{
    private static readonly ConditionalWeakTable<IDevice, List<WeakReference<AddressSpace>>> Mappings = [];
    private static readonly Lock Gate = new();

    /// <summary>Notes a mapping. A device may stand in the memory and in the port space of one machine; two addresses of one space, or two machines, would share its state.</summary>
    /// <exception cref="ArgumentException">The device is mapped already.</exception>
    public static void Claim(IDevice device, AddressSpace space)
    {
        lock (Gate)
        {
            List<WeakReference<AddressSpace>> mappings = Mappings.GetOrCreateValue(device);
            mappings.RemoveAll(static mapping => !mapping.TryGetTarget(out AddressSpace? gone) || gone.IsDisposed);
            foreach (WeakReference<AddressSpace> mapping in mappings)
            {
                if (mapping.TryGetTarget(out AddressSpace? other) && (other == space || other.Gate is null || other.Gate != space.Gate))
                    throw new ArgumentException($"Device {device.Window.Name} is mapped already; it has one address in a space, and one machine.", nameof(device));
            }

            mappings.Add(new WeakReference<AddressSpace>(space));
        }
    }

    public static void Release(IDevice device, AddressSpace space)
    {
        lock (Gate)
        {
            if (Mappings.TryGetValue(device, out List<WeakReference<AddressSpace>>? mappings))
                mappings.RemoveAll(mapping => !mapping.TryGetTarget(out AddressSpace? other) || other == space);
        }
    }
}
