namespace VirtKit.Scheduling;

/// <summary>Lets one thread sleep until another wakes it; a wake that comes first is not lost. It holds nothing of the host, so that a device's thread may set it at any time, also
/// after the machine was disposed of.</summary>
internal sealed class WakeSignal
{
    private bool _set;

    public void Set()
    {
        lock (this)
        {
            _set = true;
            Monitor.Pulse(this);
        }
    }

    /// <summary>Returns when it is set, and takes that back; or when the time has passed.</summary>
    public void Wait(int milliseconds = Timeout.Infinite)
    {
        lock (this)
        {
            if (!_set)
                Monitor.Wait(this, milliseconds);
            _set = false;
        }
    }
}
