using VirtKit;

/// <summary>Squares a number. 0x0 NUMBER: writing starts, reading gives the square once the line is asserted; 0x4 ACKNOWLEDGE: writing deasserts it.</summary>
internal sealed class Squarer : IDevice
{
    private readonly MachineClock _clock;
    private readonly InterruptLine _done;
    private readonly ClockTimer _timer;
    private uint _number;

    public Squarer(MachineClock clock, InterruptLine done) =>
        (_clock, _done, _timer) = (clock, done, clock.CreateTimer(this, () => { _number *= _number; _done.Set(true); }));

    public DeviceWindow Window => new("squarer", 8, AccessWidths.Word);

    public ulong Read(ulong offset, int size) => offset == 0 ? _number : 0;

    public void Write(ulong offset, int size, ulong value)
    {
        _done.Set(false);
        if (offset != 0)
            return;
        _number = (uint)value;
        _timer.Set(_clock.Now + 1000);
    }

    public void Reset() { _timer.Cancel(); _number = 0; _done.Set(false); }
}
