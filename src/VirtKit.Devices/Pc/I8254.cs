using System.Runtime.CompilerServices;
using VirtKit.State;
using VirtKit.X86;

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
public sealed class I8254 : IDevice, ISnapshotable, IDisposable
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
    public DeviceWindow Window => new("pit", 4, AccessWidths.Byte, UndeclaredAccess.Split);

    private ulong Ticks => (ulong)((UInt128)_clock.Now * Frequency / NanosecondsPerSecond);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => offset == 3 ? 0u : _state.Counters[(int)offset].Read(Ticks);

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        byte written = (byte)value;
        ulong now = Ticks;
        if (offset < 3)
        {
            if (_state.Counters[(int)offset].Write(written, now) && offset == 0)
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

    /// <summary>Copies the state out.</summary>
    public void GetState(out X64PitState state)
    {
        state = default;
        lock (this)
        {
            state.SpeakerOn = _state.SpeakerOn;
            for (int i = 0; i < 3; i++)
                state.Counters[i] = _state.Counters[i].Save(Ticks);
        }
    }

    /// <summary>Copies the state in. The interrupt goes on from where its count was.</summary>
    public void SetState(in X64PitState state)
    {
        lock (this)
        {
            _state.SpeakerOn = state.SpeakerOn;
            for (int i = 0; i < 3; i++)
                _state.Counters[i] = I8254Counter.Restore(state.Counters[i], Ticks);
            Schedule();
        }
    }

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State state = _state;
        visitor.Version(1);
        visitor.Parts("counter", (Span<I8254Counter>)state.Counters);
        visitor.Field("speaker on", ref state.SpeakerOn);
        visitor.Field("line", ref state.Line);
        visitor.Field("due", ref state.Due);
        if (!visitor.IsReading)
            return;
        _state = state;
        _line.Set(state.Line);
        _timer.Set(state.Due);
    }

    /// <summary>Releases the timer.</summary>
    public void Dispose() => _timer.Dispose();

    private void OnExpired()
    {
        // The low pulse of modes 2, 4 and 5 is one tick long: it is given at once.
        if (_state.Counters[0].Pulses)
            SetLine(false);
        Schedule();
    }

    /// <summary>Shows the output of counter 0 and sets the timer for its next edge.</summary>
    private void Schedule()
    {
        ref I8254Counter counter = ref _state.Counters[0];
        ulong now = Ticks;
        SetLine(counter.Pulses || counter.Output(now));
        if (counter.NextEdge(now) is not { } edge)
        {
            Await(ulong.MaxValue);
            return;
        }

        // Saturates at the clock's end.
        UInt128 deadline = ((UInt128)edge * NanosecondsPerSecond + (Frequency - 1)) / Frequency;
        ulong earliest = counter.Repeats ? _clock.After(ShortestInterval) : 0;
        Await(Math.Max((ulong)UInt128.Min(deadline, ulong.MaxValue), earliest));
    }

    private void SetLine(bool level)
    {
        _state.Line = level;
        _line.Set(level);
    }

    private void Await(ulong due)
    {
        _state.Due = due;
        _timer.Set(due);
    }

    private struct State
    {
        public Three Counters;

        public bool SpeakerOn;

        /// <summary>The level of the interrupt, which lags behind a count that is short.</summary>
        public bool Line;

        /// <summary>When the output of counter 0 is looked at next, on the machine's clock; <see cref="ulong.MaxValue"/> for never.</summary>
        public ulong Due;

        public static State AtReset()
        {
            var state = new State { Due = ulong.MaxValue };
            for (int i = 0; i < 3; i++)
                state.Counters[i] = new I8254Counter { Gate = i != 2, Access = 3 };
            return state;
        }
    }

    [InlineArray(3)]
    private struct Three
    {
        private I8254Counter _first;
    }

    private sealed class SpeakerPort(I8254 timer) : IDevice, ISnapshotable
    {
        public DeviceWindow Window => new("speaker", 1, AccessWidths.Byte, UndeclaredAccess.Split);

        public ulong Read(ulong offset, int size)
        {
            lock (timer)
            {
                ref I8254Counter counter = ref timer._state.Counters[2];
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

        /// <summary>That of the timer, whose second window this is.</summary>
        public void Visit(StateVisitor visitor)
        {
            lock (timer)
                timer.Visit(visitor);
        }
    }
}
