using VirtKit.Boot;
using VirtKit.State;

namespace VirtKit.Devices;

/// <summary>The Goldfish real-time clock: nanoseconds since 1970 UTC, and one alarm with an interrupt.</summary>
/// <remarks>
/// Register map (32 bits wide; 64 bits are two accesses, the low half first):
/// <code>
/// 0x00  TIME_LOW         RW  reading latches TIME_HIGH; writing sets the low half of the time
/// 0x04  TIME_HIGH        RW  the latched high half; writing sets the high half of the time
/// 0x08  ALARM_LOW        RW  writing arms the alarm at ALARM_HIGH:ALARM_LOW
/// 0x0c  ALARM_HIGH       RW
/// 0x10  IRQ_ENABLED      RW  bit 0
/// 0x14  CLEAR_ALARM      W   any value disarms
/// 0x18  ALARM_STATUS     R   bit 0: armed
/// 0x1c  CLEAR_INTERRUPT  W   any value acknowledges
/// </code>
/// A reset of the machine disarms the alarm and leaves the time as the guest has set it.
/// </remarks>
public sealed class GoldfishRtc : IDevice, IFdtNode, ISnapshotable, IDisposable
{
    private const ulong TimeLow = 0x00, TimeHigh = 0x04, AlarmLow = 0x08, AlarmHigh = 0x0c, IrqEnabled = 0x10, ClearAlarm = 0x14, AlarmStatus = 0x18,
        ClearInterrupt = 0x1c;

    // Wiring.
    private readonly MachineClock _clock;
    private readonly InterruptLine _line;
    private readonly ClockTimer _timer;

    // Guest-visible state.
    private State _state = new() { Due = ulong.MaxValue };

    /// <summary>Creates the clock.</summary>
    /// <param name="clock">Where the calendar time comes from.</param>
    /// <param name="line">Asserted when the alarm is due and enabled.</param>
    public GoldfishRtc(MachineClock clock, InterruptLine line)
    {
        ArgumentNullException.ThrowIfNull(clock);
        _clock = clock;
        _line = line;
        _timer = clock.CreateTimer(this, CheckAlarm);
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new("rtc", 0x1000, AccessWidths.Word, UndeclaredAccess.Split);

    private ulong Time => _clock.CalendarNow + _state.TimeOffset;

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        switch (offset)
        {
            case TimeLow:
                ulong time = Time;
                _state.LatchedHigh = (uint)(time >> 32);
                return (uint)time;
            case TimeHigh:
                return _state.LatchedHigh;
            case AlarmLow:
                return (uint)_state.Alarm;
            case AlarmHigh:
                return (uint)(_state.Alarm >> 32);
            case IrqEnabled:
                return _state.IrqEnabled;
            case AlarmStatus:
                return _state.Armed ? 1u : 0;
            default:
                return 0;
        }
    }

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        switch (offset)
        {
            case TimeLow:
                SetTime(WithLow(Time, value));
                break;
            case TimeHigh:
                SetTime(WithHigh(Time, value));
                break;
            case AlarmLow:
                _state.Alarm = WithLow(_state.Alarm, value);
                _state.Armed = true;
                CheckAlarm();
                break;
            case AlarmHigh:
                _state.Alarm = WithHigh(_state.Alarm, value);
                break;
            case IrqEnabled:
                _state.IrqEnabled = (uint)value & 1;
                UpdateLine();
                break;
            case ClearAlarm:
                _state.Armed = false;
                Await(ulong.MaxValue);
                break;
            case ClearInterrupt:
                _state.Pending = false;
                UpdateLine();
                break;
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        // Battery-backed: the time that the guest has set outlives the machine's reset.
        _state = new State { TimeOffset = _state.TimeOffset };
        Await(ulong.MaxValue);
        UpdateLine();
    }

    /// <inheritdoc/>
    public void Describe(FdtBuilder fdt, FdtResources resources) => fdt.BeginDevice("rtc", Window.Size, resources, "google,goldfish-rtc").EndNode();

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State state = _state;
        visitor.Version(1);
        visitor.Field("time offset", ref state.TimeOffset);
        visitor.Field("latched high", ref state.LatchedHigh);
        visitor.Field("alarm", ref state.Alarm);
        visitor.Field("armed", ref state.Armed);
        visitor.Field("pending", ref state.Pending);
        visitor.Field("irq enabled", ref state.IrqEnabled);
        visitor.Field("due", ref state.Due);
        visitor.Require(state.IrqEnabled <= 1, "irq enabled", $"is {state.IrqEnabled}");
        if (!visitor.IsReading)
            return;
        _state = state;
        _timer.Set(state.Due);
        UpdateLine();
    }

    /// <summary>Releases the timer.</summary>
    public void Dispose() => _timer.Dispose();

    private static ulong WithLow(ulong whole, ulong half) => whole & 0xffff_ffff_0000_0000 | (uint)half;

    private static ulong WithHigh(ulong whole, ulong half) => (uint)whole | half << 32;

    private void SetTime(ulong time)
    {
        _state.TimeOffset = time - _clock.CalendarNow;
        if (_state.Armed)
            CheckAlarm();
    }

    /// <summary>Rings when the alarm is due, otherwise sets the timer for it. The timer may have been overtaken by a new alarm or a new time.</summary>
    private void CheckAlarm()
    {
        if (!_state.Armed)
            return;
        ulong time = Time;
        if (_state.Alarm > time)
        {
            Await(_clock.After(_state.Alarm - time));
            return;
        }

        Await(ulong.MaxValue);
        _state.Armed = false;
        _state.Pending = true;
        UpdateLine();
    }

    private void Await(ulong due)
    {
        _state.Due = due;
        _timer.Set(due);
    }

    private void UpdateLine() => _line.Set(_state.Pending && _state.IrqEnabled != 0);

    private struct State
    {
        /// <summary>What the guest set the clock ahead, in nanoseconds modulo 2^64.</summary>
        public ulong TimeOffset;
        public uint LatchedHigh;
        public ulong Alarm;
        public bool Armed;
        public bool Pending;
        public uint IrqEnabled;

        /// <summary>When the alarm is looked at next, on the machine's clock; <see cref="ulong.MaxValue"/> for never. ALARM_HIGH alone moves the alarm, not this.</summary>
        public ulong Due;
    }
}
