using VirtKit.State;
using VirtKit.X86;

namespace VirtKit.Devices.Pc;

/// <summary>One counter of an <see cref="I8254"/>. Nothing counts it: its value follows from the tick at which it started.</summary>
internal struct I8254Counter : ISnapshotable
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

    public readonly X64PitCounter Save(ulong now) => new()
    {
        Mode = Mode,
        Access = Access,
        Status = Status,
        LatchBytes = LatchBytes,
        Latch = Latch,
        WrittenLow = WrittenLow,
        Bcd = Bcd,
        Gate = Gate,
        Loaded = Loaded,
        Triggered = Triggered,
        StatusLatched = StatusLatched,
        ReadsHigh = ReadsHigh,
        WritesHigh = WritesHigh,
        Count = Period,
        Elapsed = Elapsed(now),
    };

    public static I8254Counter Restore(in X64PitCounter state, ulong now) => new()
    {
        Mode = Math.Min(state.Mode, (byte)5),
        Access = state.Access is 1 or 2 ? state.Access : (byte)3,
        Status = state.Status,
        LatchBytes = Math.Min(state.LatchBytes, (byte)2),
        Latch = state.Latch,
        WrittenLow = state.WrittenLow,
        Bcd = state.Bcd,
        Gate = state.Gate,
        Loaded = state.Loaded,
        Triggered = state.Triggered,
        StatusLatched = state.StatusLatched,
        ReadsHigh = state.ReadsHigh,
        WritesHigh = state.WritesHigh,
        Period = Math.Clamp(state.Count, 1, 65_536),
        // Wraps where the machine is younger than the count; only differences are taken.
        Start = unchecked(now - state.Elapsed),
        Held = state.Elapsed,
    };

    public void Visit(StateVisitor visitor)
    {
        visitor.Field("mode", ref Mode);
        visitor.Field("access", ref Access);
        visitor.Field("status", ref Status);
        visitor.Field("bcd", ref Bcd);
        visitor.Field("gate", ref Gate);
        visitor.Field("loaded", ref Loaded);
        visitor.Field("triggered", ref Triggered);
        visitor.Field("status latched", ref StatusLatched);
        visitor.Field("reads high", ref ReadsHigh);
        visitor.Field("writes high", ref WritesHigh);
        visitor.Field("latch bytes", ref LatchBytes);
        visitor.Field("latch", ref Latch);
        visitor.Field("written low", ref WrittenLow);
        visitor.Field("period", ref Period);
        visitor.Field("start", ref Start);
        visitor.Field("held", ref Held);
        visitor.Require(Mode <= 5, "mode", $"is {Mode}");
        visitor.Require(Access is >= 1 and <= 3, "access", $"is {Access}");
        visitor.Require(LatchBytes <= 2, "latch bytes", $"is {LatchBytes}");
        visitor.Require(Period <= 65_536 && (Period != 0 || !Loaded), "period", $"is {Period}");
    }

    public bool Control(byte word, ulong now)
    {
        int access = word >> 4 & 3;
        if (access == 0)
        {
            LatchCount(now);
            return false;
        }

        int mode = word >> 1 & 7;
        this = new I8254Counter { Gate = Gate, Access = (byte)access, Mode = (byte)(mode > 5 ? mode - 4 : mode), Bcd = (word & 1) != 0 };
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
        Start = Mode is 0 or 4 ? unchecked(now - Held) : now;
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

    private readonly ulong Elapsed(ulong now) => Counts ? unchecked(now - Start) : Held;

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
