namespace VirtKit.Telemetry;

/// <summary>What the instruments of a meter observe, over all machines of the process. They are held weakly: no instrument keeps a machine that nobody disposed of.
/// Thread-safe.</summary>
/// <typeparam name="T">A part of a machine that nothing but the machine refers to.</typeparam>
internal sealed class Observed<T> where T : class
{
    private readonly Lock _gate = new();
    private readonly List<WeakReference<T>> _objects = [];

    /// <summary>Those that are still there, as of now.</summary>
    public List<T> Live
    {
        get
        {
            var live = new List<T>();
            lock (_gate)
            {
                foreach (WeakReference<T> reference in _objects)
                {
                    if (reference.TryGetTarget(out T? found))
                        live.Add(found);
                }
            }

            return live;
        }
    }

    public void Add(T observed)
    {
        lock (_gate)
        {
            _objects.RemoveAll(static reference => !reference.TryGetTarget(out _));
            _objects.Add(new WeakReference<T>(observed));
        }
    }

    public void Remove(T observed)
    {
        lock (_gate)
            _objects.RemoveAll(reference => !reference.TryGetTarget(out T? found) || ReferenceEquals(found, observed));
    }
}
