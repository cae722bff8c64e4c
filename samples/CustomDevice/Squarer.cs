using VirtKit;
using VirtKit.State;

/// <summary>Squares a number. 0x0 NUMBER: writing starts, reading gives the square once the line is asserted; 0x4 ACKNOWLEDGE: writing deasserts it.</summary>
internal sealed class Squarer : IDevice, ISnapshotable
{
    private readonly MachineClock _clock;
    private readonly InterruptLine _line;
    private readonly ClockTimer _timer;
    private State _state = new() { Due = ulong.MaxValue };

    public Squarer(MachineClock clock, InterruptLine line) => (_clock, _line, _timer) = (clock, line, clock.CreateTimer(this, () => Show(new State { Number = _state.Number * _state.Number, Due = ulong.MaxValue, IsDone = true })));

    public DeviceWindow Window => new("squarer", 8, AccessWidths.Word);

    public ulong Read(ulong offset, int size) => offset == 0 ? _state.Number : 0;

    public void Write(ulong offset, int size, ulong value) => Show(offset == 0 ? new State { Number = (uint)value, Due = _clock.After(1000) } : _state with { IsDone = false });

    public void Reset() => Show(new State { Due = ulong.MaxValue });

    public void Visit(StateVisitor visitor)
    {
        State state = _state;
        visitor.Version(1);
        visitor.Field("number", ref state.Number);
        visitor.Field("due", ref state.Due);
        visitor.Field("is done", ref state.IsDone);
        if (visitor.IsReading)
            Show(state);
    }

    /// <summary>The one way to another state: timer and line follow it, also where it is restored.</summary>
    private void Show(State state)
    {
        _state = state;
        _timer.Set(state.Due);
        _line.Set(state.IsDone);
    }

    /// <summary>All that decides what the guest sees.</summary>
    private record struct State
    {
        public uint Number;
        public ulong Due;
        public bool IsDone;
    }
}
