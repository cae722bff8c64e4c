namespace VirtKit.Devices;

/// <summary>A device's handler of its backend's event. It does not keep the device: a console or switch may live longer than a machine that nobody disposed of.</summary>
/// <typeparam name="T">The device.</typeparam>
/// <param name="device">Whose handler it is.</param>
/// <param name="handle">What it does, without referring to the device by itself.</param>
internal sealed class WeakListener<T>(T device, Action<T> handle) where T : class
{
    private readonly WeakReference<T> _device = new(device);

    public void OnEvent()
    {
        if (_device.TryGetTarget(out T? target))
            handle(target);
    }
}
