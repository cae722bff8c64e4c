namespace VirtKit.Devices.Pc;

/// <summary>An 8254 programmable interval timer: three counters of 1,193,182 Hz. The output of counter 0 is an interrupt, counter 2 is heard and gated through
/// <see cref="Speaker"/>, counter 1 (memory refresh) is wired to nothing.</summary>
/// <remarks>
/// Register map (8 bits wide), customarily at port 0x40:
/// <code>
/// 0 to 2  counter  RW  latched status, latched count, or the running count; low byte, high byte or both in turn, as the control word said
/// 3       control  W   7:6 counter, 5:4 access (0 latches), 3:1 mode, 0 BCD;  7:6 = 3: read-back, 5 = 0 latches counts, 4 = 0 latches status, 3:1 counters
/// </code>
/// <see cref="Speaker"/>, customarily at port 0x61: bit 0 RW gate of counter 2, bit 1 RW speaker on (nothing sounds), bit 4 R refresh (changes every 15 µs),
/// bit 5 R output of counter 2; bits 2, 3, 6, 7 (parity and channel check) read 0.
/// A count written to a running counter starts at once, not at the end of the period. Counter 0 interrupts at most 10,000 times a second, however short its count.
/// Thread-safe.
/// </remarks>
public sealed class I8254 : IDevice, IDisposable
{
    /// <summary>The counters' clock in hertz.</summary>
    public const uint Frequency = 1_193_182;

    private const ulong NanosecondsPerSecond = 1_000_000_000, ShortestInterval = 100_000, RefreshInterval = 15_085;

    // Wiring.
    private readonly MachineClock _clock;
    private readonly InterruptLine _line;
    private readonly ClockTimer _timer;

    // Guest-visible state.
    private State _state = State.AtReset();

    /// <summary>Creates the timer.</summary>
    /// <param name="clock">The machine's time.</param>
    /// <param name="line">The output of counter 0.</param>
    public I8254(MachineClock clock, InterruptLine line)
    {
        ArgumentNullException.ThrowIfNull(clock);
        _clock = clock;
        _line = line;
        _timer = clock.CreateTimer(this, OnExpired);
        Speaker = new SpeakerPort(this);
    }

    /// <summary>System control port B: gate and output of counter 2.</summary>
    public IDevice Speaker { get; }

    /// <inheritdoc/>
    public DeviceWindow Window => new("pit", 4, AccessWidths.Byte);

    private ulong Ticks => (ulong)((UInt128)_clock.Now * Frequency / NanosecondsPerSecond);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => offset == 3 ? 0u : _state.Counters[offset].Read(Ticks);

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        byte written = (byte)value;
        ulong now = Ticks;
        if (offset < 3)
        {
            if (_state.Counters[offset].Write(written, now) && offset == 0)
                Schedule();
        }
        else if (written >> 6 == 3)
        {
            for (int i = 0; i < 3; i++)
            {
                if ((written & 2 << i) != 0)
                    _state.Counters[i].ReadBack(written, now);
            }
        }
        else if (_state.Counters[written >> 6].Control(written, now) && written >> 6 == 0)
        {
            Schedule();
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _state = State.AtReset();
        _timer.Cancel();
        _line.Set(false);
    }

    /// <summary>Releases the timer.</summary>
    public void Dispose() => _timer.Dispose();

    private void OnExpired()
    {
        // The low pulse of modes 2, 4 and 5 is one tick long: it is given at once.
        if (_state.Counters[0].Pulses)
            _line.Set(false);
        Schedule();
    }

    /// <summary>Shows the output of counter 0 and sets the timer for its next edge.</summary>
    private void Schedule()
    {
        ref Counter counter = ref _state.Counters[0];
        ulong now = Ticks;
        _line.Set(counter.Pulses || counter.Output(now));
        if (counter.NextEdge(now) is not { } edge)
        {
            _timer.Cancel();
            return;
        }

        ulong deadline = (ulong)(((UInt128)edge * NanosecondsPerSecond + (Frequency - 1)) / Frequency);
        _timer.Set(counter.Repeats ? Math.Max(deadline, _clock.Now + ShortestInterval) : deadline);
    }

    private struct State
    {
        public Counter[] Counters;

        public bool SpeakerOn;

        public static State AtReset()
        {
            var state = new State { Counters = new Counter[3] };
            for (int i = 0; i < 3; i++)
                state.Counters[i] = new Counter { Gate = i != 2, Access = 3 };
            return state;
        }
    }

    private sealed class SpeakerPort(I8254 timer) : IDevice
    {
        public DeviceWindow Window => new("speaker", 1, AccessWidths.Byte);

        public ulong Read(ulong offset, int size)
        {
            lock (timer)
            {
                ref Counter counter = ref timer._state.Counters[2];
                return (counter.Gate ? 1u : 0) | (timer._state.SpeakerOn ? 2u : 0) | (timer._clock.Now / RefreshInterval % 2 == 0 ? 0 : 0x10u)
                    | (counter.Output(timer.Ticks) ? 0x20u : 0);
            }
        }

        public void Write(ulong offset, int size, ulong value)
        {
            lock (timer)
            {
                timer._state.Counters[2].SetGate((value & 1) != 0, timer.Ticks);
                timer._state.SpeakerOn = (value & 2) != 0;
            }
        }

        public void Reset() => Write(0, 1, 0);
    }

    /// <summary>One counter. Nothing counts it: its value follows from the tick at which it started.</summary>
    private struct Counter
    {
        public byte Mode, Access, Status;
        public bool Bcd, Gate, Loaded, Triggered, StatusLatched, ReadsHigh, WritesHigh;

        /// <summary>How many bytes of <see cref="Latch"/> are still to be read.</summary>
        public byte LatchBytes;

        public ushort Latch;
        public byte WrittenLow;

        /// <summary>The period, 1 to 65,536 (10,000 in BCD).</summary>
        public uint Period;

        /// <summary>The tick at which counting began, or while the gate holds it, how far it had come.</summary>
        public ulong Start, Held;

        /// <summary>Whether the output falls for a single tick only.</summary>
        public readonly bool Pulses => Mode is 2 or 4 or 5;

        public readonly bool Repeats => Mode is 2 or 3;

        private readonly bool TriggeredByGate => Mode is 1 or 5;

        private readonly bool Counts => Loaded && (TriggeredByGate ? Triggered : Gate);

        public bool Control(byte word, ulong now)
        {
            int access = word >> 4 & 3;
            if (access == 0)
            {
                LatchCount(now);
                return false;
            }

            int mode = word >> 1 & 7;
            this = new Counter { Gate = Gate, Access = (byte)access, Mode = (byte)(mode > 5 ? mode - 4 : mode), Bcd = (word & 1) != 0 };
            return true;
        }

        public void ReadBack(byte word, ulong now)
        {
            if ((word & 0x20) == 0)
                LatchCount(now);
            if ((word & 0x10) != 0 || StatusLatched)
                return;
            StatusLatched = true;
            Status = (byte)((Output(now) ? 0x80 : 0) | (Loaded ? 0 : 0x40) | Access << 4 | Mode << 1 | (Bcd ? 1 : 0));
        }

        public byte Read(ulong now)
        {
            if (StatusLatched)
            {
                StatusLatched = false;
                return Status;
            }

            ushort count = LatchBytes > 0 ? Latch : Value(now);
            if (LatchBytes > 0)
                LatchBytes--;
            bool high = Access == 2 || (Access == 3 && ReadsHigh);
            if (Access == 3)
                ReadsHigh = !ReadsHigh;
            return (byte)(high ? count >> 8 : count);
        }

        /// <returns>Whether a count is complete and the counter starts anew.</returns>
        public bool Write(byte value, ulong now)
        {
            if (Access == 3 && !WritesHigh)
            {
                WrittenLow = value;
                WritesHigh = true;
                return false;
            }

            int count = Access switch { 1 => value, 2 => value << 8, _ => value << 8 | WrittenLow };
            WritesHigh = false;
            uint period = Bcd ? FromBcd(count) : (uint)count;
            Period = period != 0 ? period : Bcd ? 10_000u : 65_536;
            Loaded = true;
            // A new count of the modes that the gate triggers waits for the next trigger.
            if (!TriggeredByGate)
                (Start, Held) = (now, 0);
            return true;
        }

        public void SetGate(bool gate, ulong now)
        {
            bool rises = gate && !Gate;
            if (!gate && Gate && !TriggeredByGate)
                Held = Elapsed(now);
            Gate = gate;
            if (!rises)
                return;
            // Modes 0 and 4 go on where they stopped, the others begin again.
            Start = Mode is 0 or 4 ? now - Math.Min(Held, now) : now;
            Triggered = TriggeredByGate && Loaded;
        }

        public readonly bool Output(ulong now)
        {
            ulong elapsed = Elapsed(now);
            return Mode switch
            {
                0 => Loaded && elapsed >= Period,
                1 => !Counts || elapsed >= Period,
                2 => !Counts || elapsed % Period != Period - 1,
                3 => !Counts || elapsed % Period < (Period + 1) / 2,
                _ => !Counts || elapsed != Period,
            };
        }

        /// <summary>The next tick after <paramref name="now"/> at which an interrupt has to see the output: a rising edge, in mode 3 also a falling one.</summary>
        public readonly ulong? NextEdge(ulong now)
        {
            if (!Counts)
                return null;
            ulong elapsed = Elapsed(now), half = (Period + 1) / 2, position = elapsed % Period;
            return Mode switch
            {
                2 => now + (Period - position),
                3 => now + (position < half && half < Period ? half - position : Period - position),
                0 or 1 when elapsed < Period => now + (Period - elapsed),
                4 or 5 when elapsed <= Period => now + (Period - elapsed) + 1,
                _ => null,
            };
        }

        private readonly ulong Elapsed(ulong now) => Counts ? now - Math.Min(Start, now) : Held;

        private void LatchCount(ulong now)
        {
            if (LatchBytes > 0)
                return;
            Latch = Value(now);
            LatchBytes = Access == 3 ? (byte)2 : (byte)1;
        }

        private readonly ushort Value(ulong now)
        {
            if (!Loaded)
                return 0;
            ulong elapsed = Elapsed(now), modulus = Bcd ? 10_000ul : 65_536;
            ulong value = Mode switch
            {
                2 => Period - elapsed % Period,
                3 => Period - elapsed * 2 % Period & ~1ul,
                _ => (Period % modulus + modulus - elapsed % modulus) % modulus,
            };
            return Bcd ? ToBcd((uint)(value % modulus)) : (ushort)value;
        }

        private static uint FromBcd(int value) =>
            (uint)(Math.Min(value >> 12 & 15, 9) * 1000 + Math.Min(value >> 8 & 15, 9) * 100 + Math.Min(value >> 4 & 15, 9) * 10 + Math.Min(value & 15, 9));

        private static ushort ToBcd(uint value) => (ushort)(value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10);
    }
}
