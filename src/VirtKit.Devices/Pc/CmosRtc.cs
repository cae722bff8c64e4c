using System.Runtime.CompilerServices;
using VirtKit.Boot.Acpi;
using VirtKit.State;

namespace VirtKit.Devices.Pc;

/// <summary>A PC's real-time clock, an MC146818 with 128 bytes of memory: the machine's calendar time in UTC, with alarm, periodic and update interrupts.</summary>
/// <remarks>
/// Register map of the ports (8 bits wide), customarily at 0x70: 0 INDEX W 6:0 (bit 7, which masks NMI, is not modelled), 1 DATA RW. Behind INDEX:
/// <code>
/// 0x00 seconds  0x02 minutes  0x04 hours  0x06 day of week, 1 is Sunday  0x07 day of month  0x08 month  0x09 year  0x32 century
/// 0x01, 0x03, 0x05  alarm's seconds, minutes, hours; 0xc0 and above match every value
/// 0x0a A  RW  7 UIP (R, the last 244 µs before an update), 6:4 divider (kept), 3:0 periodic rate
/// 0x0b B  RW  7 SET, 6 PIE, 5 AIE, 4 UIE, 3 square wave (kept), 2 binary, 1 24 hours, 0 daylight saving (kept)
/// 0x0c C  R   7 IRQF, 6 PF, 5 AF, 4 UF; reading clears it
/// 0x0d D  R   7 valid time
/// 0x0e to 0x7f, but for 0x32  memory
/// </code>
/// Flags of interrupts that are not enabled are found when C is read; an alarm's only if it matches in that very second.
/// The battery keeps time, memory and A over a reset of the machine, which clears PIE, AIE, UIE and square wave in B, and C.
/// </remarks>
public sealed class CmosRtc : IDevice, IAcpiNode, IPostedWrites, ISnapshotable, IDisposable
{
    private const byte UpdateInProgress = 0x80, Set = 0x80, PeriodicEnable = 0x40, AlarmEnable = 0x20, UpdateEnable = 0x10, SquareWave = 8, Binary = 4, Hours24 = 2;
    private const byte Raised = 0x80, PeriodicFlag = 0x40, AlarmFlag = 0x20, UpdateFlag = 0x10, Pm = 0x80, AnyValue = 0xc0;
    private const int Seconds = 0, SecondsAlarm = 1, Minutes = 2, MinutesAlarm = 3, Hours = 4, HoursAlarm = 5, Weekday = 6, Day = 7, Month = 8, Year = 9,
        A = 10, B = 11, C = 12, D = 13, Century = 0x32;
    private const ulong NanosecondsPerSecond = 1_000_000_000, UpdateTime = 244_000;

    // Wiring.
    private readonly MachineClock _clock;
    private readonly InterruptLine _line;
    private readonly ClockTimer _timer;

    // Guest-visible state.
    private State _state;

    /// <summary>Creates the clock.</summary>
    /// <param name="clock">The machine's time.</param>
    /// <param name="line">The interrupt.</param>
    public CmosRtc(MachineClock clock, InterruptLine line)
    {
        ArgumentNullException.ThrowIfNull(clock);
        _clock = clock;
        _line = line;
        _timer = clock.CreateTimer(this, OnExpired);
        _state = State.AtPowerOn(clock.Now);
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new("cmos", 2, AccessWidths.Byte, UndeclaredAccess.Split);

    // INDEX alone: nothing but an access to DATA uses it.
    IReadOnlyList<RegisterRange> IPostedWrites.PostedWrites { get; } = [new(0, 1)];

    private ulong Now => (ulong)((long)_clock.CalendarNow + _state.Offset);

    /// <summary>The period of the periodic interrupt in nanoseconds, 0 for none: 2^(rate-1) ticks of 32,768 Hz, rates 1 and 2 as 8 and 9.</summary>
    private ulong Period => (_state.Memory[A] & 15) switch
    {
        0 => 0,
        int rate => (1ul << (rate < 3 ? rate + 6 : rate - 1)) * NanosecondsPerSecond / 32_768,
    };

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        if (offset == 0)
            return 0xff;
        if ((_state.Memory[B] & Set) == 0)
            ShowTime();
        switch (_state.Index)
        {
            case A:
                bool updating = (_state.Memory[B] & Set) == 0 && Now % NanosecondsPerSecond >= NanosecondsPerSecond - UpdateTime;
                return (uint)(_state.Memory[A] & ~UpdateInProgress | (updating ? UpdateInProgress : 0));
            case C:
                FindFlags();
                byte flags = _state.Memory[C];
                _state.Memory[C] = 0;
                _line.Set(false);
                return flags;
            default:
                return _state.Memory[_state.Index];
        }
    }

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        byte written = (byte)value;
        if (offset == 0)
        {
            _state.Index = (byte)(written & 0x7f);
            return;
        }

        switch (_state.Index)
        {
            case Seconds or Minutes or Hours or Weekday or Day or Month or Year or Century:
                bool runs = (_state.Memory[B] & Set) == 0;
                if (runs)
                    ShowTime();
                _state.Memory[_state.Index] = written;
                if (runs)
                    TakeTime();
                break;
            case A:
                FindFlags();
                _state.Memory[A] = (byte)(written & ~UpdateInProgress);
                break;
            case B:
                WriteB(written);
                break;
            case C or D:
                return;
            default:
                _state.Memory[_state.Index] = written;
                break;
        }

        Schedule();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _state.Memory[B] &= unchecked((byte)~(PeriodicEnable | AlarmEnable | UpdateEnable | SquareWave));
        _state.Memory[C] = 0;
        (_state.Index, _state.LastLook, _state.LastSecond) = (0, _clock.Now, Now / NanosecondsPerSecond);
        _timer.Cancel();
        _line.Set(false);
    }

    /// <inheritdoc/>
    public void Describe(AmlBuilder aml, AcpiResources resources) => aml.BeginDevice(resources, "PNP0B00", AcpiTrigger.Edge).End();

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State state = _state;
        visitor.Version(1);
        visitor.Fields("memory", (Span<byte>)state.Memory);
        visitor.Field("index", ref state.Index);
        visitor.Field("offset", ref state.Offset);
        visitor.Field("last flags", ref state.LastLook);
        visitor.Field("last second", ref state.LastSecond);
        visitor.Require(state.Index < 0x80, "index", $"is {state.Index}");
        if (!visitor.IsReading)
            return;
        _state = state;
        _line.Set((state.Memory[C] & Raised) != 0);
        Schedule();
    }

    /// <summary>Releases the timer.</summary>
    public void Dispose() => _timer.Dispose();

    private void WriteB(byte value)
    {
        bool sets = (value & Set) != 0, did = (_state.Memory[B] & Set) != 0;
        if (sets && !did)
            ShowTime();
        FindFlags();
        if (sets)
            value &= unchecked((byte)~UpdateEnable);
        _state.Memory[B] = value;
        if (did && !sets)
            TakeTime();
        Raise(0);
    }

    private void OnExpired()
    {
        FindFlags();
        Schedule();
    }

    /// <summary>Raises what has come due since the last look.</summary>
    private void FindFlags()
    {
        byte due = 0;
        ulong now = _clock.Now, period = Period;
        if (period != 0 && now / period != _state.LastLook / period)
            due |= PeriodicFlag;
        ulong second = Now / NanosecondsPerSecond;
        if ((_state.Memory[B] & Set) == 0 && second != _state.LastSecond)
        {
            due |= UpdateFlag;
            ShowTime();
            if (Matches(Seconds) && Matches(Minutes) && Matches(Hours))
                due |= AlarmFlag;
        }

        (_state.LastLook, _state.LastSecond) = (now, second);
        Raise(due);
    }

    private bool Matches(int field) => _state.Memory[field + 1] >= AnyValue || _state.Memory[field + 1] == _state.Memory[field];

    private void Raise(byte flags)
    {
        ref byte c = ref _state.Memory[C];
        c = (byte)((c | flags) & (PeriodicFlag | AlarmFlag | UpdateFlag));
        bool raised = (c & _state.Memory[B]) != 0;
        if (raised)
            c |= Raised;
        _line.Set(raised);
    }

    private void Schedule()
    {
        ulong next = ulong.MaxValue, now = _clock.Now, period = Period;
        byte b = _state.Memory[B];
        if ((b & PeriodicEnable) != 0 && period != 0)
            next = _clock.After(period - now % period);
        if ((b & (AlarmEnable | UpdateEnable)) != 0 && (b & Set) == 0)
            next = Math.Min(next, _clock.After(NanosecondsPerSecond - Now % NanosecondsPerSecond));
        if (next == ulong.MaxValue)
            _timer.Cancel();
        else
            _timer.Set(next);
    }

    /// <summary>Brings the time into its registers.</summary>
    private void ShowTime()
    {
        DateTime time = DateTime.UnixEpoch.AddSeconds(Now / NanosecondsPerSecond);
        int hour = time.Hour;
        bool whole = (_state.Memory[B] & Hours24) != 0;
        Show(Seconds, time.Second);
        Show(Minutes, time.Minute);
        Show(Hours, whole ? hour : (hour + 11) % 12 + 1);
        if (!whole && hour >= 12)
            _state.Memory[Hours] |= Pm;
        Show(Weekday, (int)time.DayOfWeek + 1);
        Show(Day, time.Day);
        Show(Month, time.Month);
        Show(Year, time.Year % 100);
        Show(Century, time.Year / 100);
    }

    /// <summary>Makes what the registers hold the time; fields that no calendar has are taken as the nearest that one does.</summary>
    private void TakeTime()
    {
        byte hours = _state.Memory[Hours];
        bool whole = (_state.Memory[B] & Hours24) != 0;
        int hour = whole ? Value(hours) : Value((byte)(hours & ~Pm)) % 12 + ((hours & Pm) != 0 ? 12 : 0);
        int year = Math.Clamp(Value(_state.Memory[Century]) * 100 + Value(_state.Memory[Year]), 1970, 2261), month = Math.Clamp(Value(_state.Memory[Month]), 1, 12);
        int day = Math.Clamp(Value(_state.Memory[Day]), 1, DateTime.DaysInMonth(year, month));
        var time = new DateTime(year, month, day, Math.Min(hour, 23), Math.Min(Value(_state.Memory[Minutes]), 59), Math.Min(Value(_state.Memory[Seconds]), 59), DateTimeKind.Utc);
        _state.Offset = (time - DateTime.UnixEpoch).Ticks * 100 - (long)_clock.CalendarNow;
        _state.LastSecond = Now / NanosecondsPerSecond;
    }

    private void Show(int register, int value) => _state.Memory[register] = (byte)((_state.Memory[B] & Binary) != 0 ? value : value / 10 << 4 | value % 10);

    private int Value(byte register) => (_state.Memory[B] & Binary) != 0 ? register : (register >> 4) * 10 + (register & 15);

    private struct State
    {
        public Registers Memory;
        public byte Index;

        /// <summary>How far the guest has moved its clock from the machine's, in nanoseconds.</summary>
        public long Offset;

        /// <summary>When flags were last looked for: on the machine's clock in nanoseconds, and the guest's second.</summary>
        public ulong LastLook, LastSecond;

        public static State AtPowerOn(ulong now)
        {
            var state = new State { LastLook = now };
            (state.Memory[A], state.Memory[B], state.Memory[D]) = (0x26, Hours24, 0x80);
            return state;
        }
    }

    [InlineArray(128)]
    private struct Registers
    {
        private byte _first;
    }
}
