namespace VirtKit.Devices.Pc;

/// <summary>One processor's local APIC in xAPIC mode (SDM 3A chapter 10), made by <see cref="LocalApics"/>. Its timer counts a bus clock of 1 GHz.</summary>
/// <remarks>
/// Register map of the page (32 bits wide, 16 bytes apart; a read between them gives 0):
/// <code>
/// 0x020 ID  RW 31:24       0x030 VERSION R 0x0005_0014   0x080 TPR RW 7:0           0x090 APR R, 0      0x0a0 PPR R
/// 0x0b0 EOI W              0x0d0 LDR RW 31:24            0x0e0 DFR RW 31:28         0x0f0 SVR RW 9:8 (9 kept), 7:0
/// 0x100 ISR R  0x180 TMR R  0x200 IRR R, eight words each 0x280 ESR RW, a write shows what has come up since the last
/// 0x300 ICR low RW (12, delivery status, always idle)     0x310 ICR high RW 31:24
/// 0x320 LVT timer RW 18:17 mode (0 one-shot, 1 periodic; TSC deadline is not modelled and does not count), 16 mask, 7:0
/// 0x330 LVT thermal, 0x340 LVT performance RW (nothing raises them)   0x350 LVT LINT0, 0x360 LVT LINT1   0x370 LVT error RW
/// 0x380 initial count RW   0x390 current count R         0x3e0 divide RW 3, 1:0
/// </code>
/// At power-on LINT0 of the first processor takes external interrupts, as firmware would leave it (virtual wire mode). A periodic timer expires at most 10,000 times a
/// second, however short its period. The bus's lock on the instance only orders register accesses; what other threads touch is behind a gate of its own, which is
/// never held while another APIC or an IOAPIC is called.
/// </remarks>
public sealed class LocalApic : IDevice, IInterruptSink, IDisposable
{
    private const uint Version = 0x0005_0014, SoftwareEnable = 0x100, Masked = 0x1_0000, Periodic = 1 << 17, TimerModes = 3 << 17, LevelTriggered = 1 << 15;
    private const uint External = 0x700, SendIllegalVector = 0x20, ReceiveIllegalVector = 0x40;
    private const ulong ShortestPeriod = 100_000;
    private const int LvtTimer = 0, LvtLint0 = 3, LvtLint1 = 4, LvtError = 5;

    // What a write to each LVT register keeps: timer, thermal, performance, LINT0, LINT1, error.
    private static ReadOnlySpan<uint> LvtKept => [0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff];

    // Wiring.
    private readonly LocalApics _bus;
    private readonly MachineClock _clock;
    private readonly ApicPins _pins;
    private readonly ClockTimer _timer;
    private readonly Lock _gate = new();

    // Configuration.
    private readonly int _index;

    // Guest-visible state.
    private State _state;

    internal LocalApic(LocalApics bus, int index, MachineClock clock, ApicPins pins)
    {
        _bus = bus;
        _index = index;
        _clock = clock;
        _pins = pins;
        _timer = clock.CreateTimer(new object(), OnExpired);
        _state = State.AtReset(index);
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new("lapic", 0x1000, AccessWidths.Word);

    /// <summary>The processor's priority (PPR).</summary>
    internal byte Priority
    {
        get
        {
            lock (_gate)
                return ProcessorPriority;
        }
    }

    private byte ProcessorPriority
    {
        get
        {
            int served = Math.Max(_state.Isr.Highest, 0) & 0xf0;
            return (_state.TaskPriority & 0xf0) >= served ? _state.TaskPriority : (byte)served;
        }
    }

    private bool IsEnabled => (_state.Spurious & SoftwareEnable) != 0;

    /// <summary>Nanoseconds for each count.</summary>
    private ulong Divisor => 1ul << ((int)(_state.Divide & 3 | _state.Divide >> 1 & 4) + 1 & 7);

    /// <summary>A line into LINT0 (0) or LINT1 (1).</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input.</exception>
    public InterruptLine Lint(int input)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(input);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(input, 1);
        return new InterruptLine(this, input);
    }

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        if ((offset & 15) != 0)
            return 0;
        lock (_gate)
        {
            return offset switch
            {
                0x20 => (uint)_state.Id << 24,
                0x30 => Version,
                0x80 => _state.TaskPriority,
                0xa0 => ProcessorPriority,
                0xd0 => (uint)_state.LogicalId << 24,
                0xe0 => _state.Format,
                0xf0 => _state.Spurious,
                >= 0x100 and < 0x180 => _state.Isr[(int)(offset >> 4 & 7)],
                >= 0x180 and < 0x200 => _state.Tmr[(int)(offset >> 4 & 7)],
                >= 0x200 and < 0x280 => _state.Irr[(int)(offset >> 4 & 7)],
                0x280 => _state.Errors,
                0x300 => _state.IcrLow,
                0x310 => _state.IcrHigh,
                >= 0x320 and <= 0x370 => _state.Lvt[(int)(offset - 0x320 >> 4)],
                0x380 => _state.InitialCount,
                0x390 => CurrentCount(),
                0x3e0 => _state.Divide,
                _ => 0,
            };
        }
    }

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        if ((offset & 15) != 0)
            return;
        int ended = -1;
        ApicMessage? sent = null;
        lock (_gate)
        {
            uint written = (uint)value;
            switch (offset)
            {
                case 0x20:
                    _state.Id = (byte)(written >> 24);
                    break;
                case 0x80:
                    _state.TaskPriority = (byte)written;
                    break;
                case 0xb0:
                    ended = EndOfInterrupt();
                    break;
                case 0xd0:
                    _state.LogicalId = (byte)(written >> 24);
                    break;
                case 0xe0:
                    _state.Format = written | 0x0fff_ffff;
                    break;
                case 0xf0:
                    WriteSpurious(written & 0x3ff);
                    break;
                case 0x280:
                    (_state.Errors, _state.PendingErrors) = (_state.PendingErrors, 0);
                    break;
                case 0x300:
                    _state.IcrLow = written & 0xc_cfff;
                    sent = ComposeMessage();
                    break;
                case 0x310:
                    _state.IcrHigh = written & 0xff00_0000;
                    break;
                case >= 0x320 and <= 0x370:
                    WriteLvt((int)(offset - 0x320 >> 4), written);
                    break;
                case 0x380:
                    _state.InitialCount = written;
                    StartTimer();
                    break;
                case 0x3e0:
                    _state.Divide = written & 0xb;
                    StartTimer();
                    break;
            }

            Update();
        }

        if (ended >= 0)
            _bus.TellEndOfInterrupt((byte)ended);
        if (sent is { } message)
            _bus.Send(this, message, (int)(_state.IcrLow >> 18 & 3));
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate)
        {
            _state = State.AtReset(_index);
            _timer.Cancel();
            _pins.Intr.Set(false);
            _pins.Nmi.Set(false);
        }
    }

    /// <summary>Releases the timer.</summary>
    public void Dispose() => _timer.Dispose();

    void IInterruptSink.SetInput(int input, bool level)
    {
        lock (_gate)
        {
            ref bool line = ref _state.Lint1;
            if (input == 0)
                line = ref _state.Lint0;
            bool rises = level && !line;
            line = level;
            uint lvt = _state.Lvt[input == 0 ? LvtLint0 : LvtLint1];
            if (rises && (lvt & Masked) == 0 && (lvt & 0x700) != External)
                Take(new ApicMessage(0, (byte)lvt) { Delivery = (ApicDelivery)(lvt >> 8 & 7), IsLevel = (lvt & LevelTriggered) != 0 });
            Update();
        }
    }

    /// <summary>Whether a message is for this processor (SDM 3A §10.6.2).</summary>
    internal bool IsDestination(ApicMessage message)
    {
        lock (_gate)
        {
            if (message.Destination == 0xff)
                return true;
            if (!message.IsLogical)
                return message.Destination == _state.Id;
            bool flat = _state.Format >> 28 == 0xf;
            return flat ? (message.Destination & _state.LogicalId) != 0
                : message.Destination >> 4 == _state.LogicalId >> 4 && (message.Destination & _state.LogicalId & 15) != 0;
        }
    }

    internal void Accept(ApicMessage message)
    {
        lock (_gate)
        {
            Take(message);
            Update();
        }
    }

    /// <summary>Takes the most urgent interrupt into service.</summary>
    /// <returns>Its vector; -1 for none; -2 where an external controller has to be asked.</returns>
    internal int Acknowledge()
    {
        lock (_gate)
        {
            int vector = Deliverable();
            if (vector >= 0)
            {
                _state.Irr.Set((byte)vector, false);
                _state.Isr.Set((byte)vector, true);
                Update();
                return vector;
            }

            return WantsExternal() ? -2 : -1;
        }
    }

    internal void SetTaskPriority(byte priority)
    {
        lock (_gate)
        {
            _state.TaskPriority = (byte)(priority << 4);
            Update();
        }
    }

    private void Take(ApicMessage message)
    {
        switch (message.Delivery)
        {
            case ApicDelivery.Fixed or ApicDelivery.LowestPriority when message.Vector < 16:
                Raise(ReceiveIllegalVector);
                break;
            case ApicDelivery.Fixed or ApicDelivery.LowestPriority when IsEnabled:
                _state.Irr.Set(message.Vector, true);
                _state.Tmr.Set(message.Vector, message.IsLevel);
                break;
            case ApicDelivery.Nmi:
                _pins.Nmi.Set(true);
                _pins.Nmi.Set(false);
                break;
            case ApicDelivery.Init:
                byte id = _state.Id;
                _state = State.AtReset(_index);
                _state.Id = id;
                _timer.Cancel();
                _pins.Init?.Invoke();
                break;
            case ApicDelivery.StartUp:
                _pins.StartUp?.Invoke(message.Vector);
                break;
        }
    }

    /// <summary>The vector that would be delivered now, or -1.</summary>
    private int Deliverable()
    {
        int vector = IsEnabled ? _state.Irr.Highest : -1;
        return vector >> 4 > ProcessorPriority >> 4 ? vector : -1;
    }

    private bool WantsExternal() => _state.Lint0 && (_state.Lvt[LvtLint0] & (Masked | 0x700)) == External;

    private void Update() => _pins.Intr.Set(Deliverable() >= 0 || WantsExternal());

    /// <returns>The vector whose end IOAPICs have to be told, or -1.</returns>
    private int EndOfInterrupt()
    {
        int vector = _state.Isr.Highest;
        if (vector < 0)
            return -1;
        _state.Isr.Set((byte)vector, false);
        return _state.Tmr.Contains((byte)vector) ? vector : -1;
    }

    private void WriteSpurious(uint value)
    {
        _state.Spurious = value;
        if (IsEnabled)
            return;
        for (int i = 0; i < _state.Lvt.Length; i++)
            _state.Lvt[i] |= Masked;
    }

    private void WriteLvt(int entry, uint value)
    {
        uint before = _state.Lvt[entry];
        _state.Lvt[entry] = value & LvtKept[entry] | (IsEnabled ? 0 : Masked);
        if (entry == LvtTimer && ((before ^ value) & TimerModes) != 0)
            StartTimer();
    }

    private void Raise(uint error)
    {
        bool first = (_state.PendingErrors & error) == 0;
        _state.PendingErrors |= error;
        uint lvt = _state.Lvt[LvtError];
        if (first && (lvt & Masked) == 0 && (byte)lvt >= 16)
            Take(new ApicMessage(0, (byte)lvt));
    }

    private ApicMessage? ComposeMessage()
    {
        uint icr = _state.IcrLow;
        var delivery = (ApicDelivery)(icr >> 8 & 7);
        // INIT level de-assert only concerned arbitration IDs.
        if (delivery == ApicDelivery.Init && (icr & 0xc000) == LevelTriggered)
            return null;
        if (delivery is ApicDelivery.Fixed or ApicDelivery.LowestPriority && (byte)icr < 16)
        {
            Raise(SendIllegalVector);
            return null;
        }

        return new ApicMessage((byte)(_state.IcrHigh >> 24), (byte)icr) { Delivery = delivery, IsLogical = (icr & 0x800) != 0 };
    }

    private uint CurrentCount()
    {
        ulong length = _state.InitialCount * Divisor;
        if (!_state.Counting || length == 0)
            return 0;
        ulong elapsed = _clock.Now - _state.Started;
        bool periodic = (_state.Lvt[LvtTimer] & TimerModes) == Periodic;
        return elapsed >= length && !periodic ? 0 : (uint)((length - elapsed % length + Divisor - 1) / Divisor);
    }

    private void StartTimer()
    {
        _state.Started = _clock.Now;
        // One-shot and periodic; a deadline is written to an MSR that does not lead here.
        _state.Counting = _state.InitialCount != 0 && (_state.Lvt[LvtTimer] & TimerModes) is 0 or Periodic;
        if (_state.Counting)
            _timer.Set(_state.Started + _state.InitialCount * Divisor);
        else
            _timer.Cancel();
    }

    private void OnExpired()
    {
        lock (_gate)
        {
            ulong now = _clock.Now, length = _state.InitialCount * Divisor;
            // The timer may have been started anew while this call waited for the gate.
            if (!_state.Counting || now - _state.Started < length)
                return;
            uint lvt = _state.Lvt[LvtTimer];
            if ((lvt & TimerModes) == Periodic)
                _timer.Set(Math.Max(_state.Started + ((now - _state.Started) / length + 1) * length, now + ShortestPeriod));
            else
                _state.Counting = false;
            if ((lvt & Masked) == 0)
                Take(new ApicMessage(0, (byte)lvt));
            Update();
        }
    }

    private struct State
    {
        public byte Id, TaskPriority, LogicalId;
        public uint Format, Spurious, Errors, PendingErrors, IcrLow, IcrHigh, InitialCount, Divide;
        public VectorSet Isr, Tmr, Irr;
        public uint[] Lvt;
        public bool Lint0, Lint1, Counting;

        /// <summary>When the timer was started, in nanoseconds.</summary>
        public ulong Started;

        public static State AtReset(int index) => new()
        {
            Id = (byte)index,
            Format = uint.MaxValue,
            Spurious = 0xff,
            Lvt = [Masked, Masked, Masked, index == 0 ? External : Masked, Masked, Masked],
        };
    }
}

/// <summary>What a local APIC drives of its processor.</summary>
/// <param name="Intr">INTR.</param>
/// <param name="Nmi">NMI.</param>
public sealed record ApicPins(InterruptLine Intr, InterruptLine Nmi)
{
    /// <summary>Called for INIT; <see langword="null"/> where the processor cannot be started by others.</summary>
    public Action? Init { get; init; }

    /// <summary>Called for a start-up message with the page at which the processor starts.</summary>
    public Action<byte>? StartUp { get; init; }
}
