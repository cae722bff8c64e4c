namespace VirtKit.Devices;

/// <summary>Brings a backend's events to a device through the clock's door: an answer runs between two slices of the machine, under the device's gate. However often a
/// backend rings, one answer waits, also where the machine stands still.</summary>
internal sealed class Doorbell
{
    private readonly MachineClock _clock;
    private readonly object _gate;
    private readonly Action _answer;
    private int _rung;

    /// <param name="clock">The machine's clock.</param>
    /// <param name="gate">The device.</param>
    /// <param name="answer">What the device does about it; finds out itself what has changed.</param>
    public Doorbell(MachineClock clock, object gate, Action answer)
    {
        _clock = clock;
        _gate = gate;
        _answer = () =>
        {
            // TIMING POINT 1: cleared first, so that what comes while the device looks rings again.
            Interlocked.Exchange(ref _rung, 0);
            answer();
        };
    }

    /// <summary>Any thread.</summary>
    public void Ring()
    {
        if (Interlocked.Exchange(ref _rung, 1) == 0)
            _clock.Post(_gate, _answer);
    }
}
