using System.Runtime.CompilerServices;
using VirtKit.State;
using VirtKit.X86;

namespace VirtKit.Devices.Pc;

/// <summary>An 82093AA I/O APIC with 24 inputs (version 0x20 with an EOI register, as chip sets since then have it).</summary>
/// <remarks>
/// Register map (32 bits wide), customarily at 0xfec0_0000:
/// <code>
/// 0x00  IOREGSEL  RW  7:0 index
/// 0x10  IOWIN     RW  the register behind the index
/// 0x40  EOI       W   7:0 vector
/// </code>
/// Behind the index: 0x00 ID RW 27:24; 0x01 VERSION R 0x0017_0020; 0x02 arbitration ID R; 0x10 + 2n, low half of redirection entry n (7:0 vector, 10:8 delivery,
/// 11 logical, 12 delivery status R (always idle), 13 active low, 14 remote IRR R, 15 level, 16 mask); 0x11 + 2n, high half (31:24 destination).
/// The polarity is kept without effect: an <see cref="InterruptLine"/> says asserted or not. Thread-safe.
/// </remarks>
public sealed class IoApic : IDevice, IPostedWrites, ISnapshotable, IInterruptSink
{
    /// <summary>The number of inputs.</summary>
    public const int Inputs = 24;

    private const uint Version = 0x20 | (Inputs - 1) << 16;
    private const ulong Logical = 1 << 11, RemoteIrr = 1 << 14, Level = 1 << 15, Mask = 1 << 16, DeliveryStatus = 1 << 12, ReadOnly = DeliveryStatus | RemoteIrr;
    private const ulong Known = 0xff00_0000_0001_ffff;

    // Wiring.
    private readonly Action<ApicMessage> _deliver;

    // Guest-visible state.
    private State _state = State.AtReset();

    /// <summary>Creates the controller.</summary>
    /// <param name="deliver">Where its interrupts go: <see cref="LocalApics.Deliver"/>.</param>
    public IoApic(Action<ApicMessage> deliver)
    {
        ArgumentNullException.ThrowIfNull(deliver);
        _deliver = deliver;
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new("ioapic", 0x1000, AccessWidths.Word);

    // IOREGSEL alone: nothing but an access to IOWIN uses it.
    IReadOnlyList<RegisterRange> IPostedWrites.PostedWrites { get; } = [new(0, 4)];

    /// <summary>A line into an input.</summary>
    /// <param name="input">0 to 23.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input.</exception>
    public InterruptLine Input(int input)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(input);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(input, Inputs);
        return new InterruptLine(this, input);
    }

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => offset switch
    {
        0 => _state.Index,
        0x10 => Register(),
        _ => 0,
    };

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        switch (offset)
        {
            case 0:
                _state.Index = (byte)value;
                break;
            case 0x10 when _state.Index == 0:
                _state.Id = (byte)(value >> 24 & 15);
                break;
            case 0x10 when _state.Index is >= 0x10 and < 0x10 + 2 * Inputs:
                WriteEntry((_state.Index - 0x10) / 2, (_state.Index & 1) != 0, (uint)value);
                break;
            case 0x40:
                EndOfInterrupt((byte)value);
                break;
        }
    }

    /// <summary>A processor has finished a level-triggered interrupt: inputs of that vector that are still asserted interrupt again.</summary>
    /// <param name="vector">The vector.</param>
    public void EndOfInterrupt(byte vector)
    {
        lock (this)
        {
            for (int i = 0; i < Inputs; i++)
            {
                ref ulong entry = ref _state.Entries[i];
                if ((byte)entry != vector || (entry & (Level | RemoteIrr)) != (Level | RemoteIrr))
                    continue;
                entry &= ~RemoteIrr;
                Serve(i);
            }
        }
    }

    /// <inheritdoc/>
    public void Reset() => _state = State.AtReset();

    /// <summary>Copies the state out.</summary>
    public void GetState(out X64IoApicState state)
    {
        state = default;
        lock (this)
        {
            (state.Index, state.Id, state.Lines, state.Irr) = (_state.Index, _state.Id, _state.Lines, _state.Edges);
            for (int i = 0; i < Inputs; i++)
            {
                state.Entries[i] = _state.Entries[i];
                if ((_state.Entries[i] & Level) != 0)
                    state.Irr |= _state.Lines & 1u << i;
            }
        }
    }

    /// <summary>Copies the state in, and delivers what waits.</summary>
    public void SetState(in X64IoApicState state)
    {
        lock (this)
        {
            _state = State.AtReset();
            (_state.Index, _state.Id, _state.Lines) = (state.Index, (byte)(state.Id & 15), state.Lines);
            for (int i = 0; i < Inputs; i++)
            {
                _state.Entries[i] = state.Entries[i] & Known & ~DeliveryStatus;
                if ((_state.Entries[i] & Level) != 0)
                    _state.Lines |= state.Irr & 1u << i;
                else
                    _state.Edges |= state.Irr & 1u << i;
            }

            for (int i = 0; i < Inputs; i++)
                Serve(i);
        }
    }

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        lock (this)
        {
            State state = _state;
            visitor.Version(1);
            visitor.Field("index", ref state.Index);
            visitor.Field("id", ref state.Id);
            visitor.Field("lines", ref state.Lines);
            visitor.Field("edges", ref state.Edges);
            visitor.Fields("entries", (Span<ulong>)state.Entries);
            visitor.Require(state.Id <= 15, "id", $"is {state.Id}");
            visitor.Require(state.Lines >> Inputs == 0, "lines", $"has inputs behind {Inputs - 1}");
            visitor.Require(state.Edges >> Inputs == 0, "edges", $"has inputs behind {Inputs - 1}");
            foreach (ulong entry in (Span<ulong>)state.Entries)
                visitor.Require((entry & ~(Known & ~DeliveryStatus)) == 0, "entries", "has bits that are not kept");
            if (visitor.IsReading)
                _state = state;
        }
    }

    void IInterruptSink.SetInput(int input, bool level)
    {
        if ((uint)input >= Inputs)
            return;
        lock (this)
        {
            uint bit = 1u << input;
            bool was = (_state.Lines & bit) != 0;
            _state.Lines = level ? _state.Lines | bit : _state.Lines & ~bit;
            if ((_state.Entries[input] & Level) != 0)
            {
                Serve(input);
            }
            else if (level && !was)
            {
                // An edge at a masked input is remembered until it is unmasked, as chip sets do; the datasheet would lose it.
                _state.Edges |= bit;
                Serve(input);
            }
        }
    }

    private uint Register()
    {
        int index = _state.Index;
        if (index is >= 0x10 and < 0x10 + 2 * Inputs)
            return (uint)(_state.Entries[(index - 0x10) / 2] >> (index & 1) * 32);
        return index switch
        {
            0 or 2 => (uint)_state.Id << 24,
            1 => Version,
            _ => 0,
        };
    }

    private void WriteEntry(int input, bool high, uint value)
    {
        ref ulong entry = ref _state.Entries[input];
        ulong written = high ? (uint)entry | (ulong)value << 32 : entry & 0xffff_ffff_0000_0000 | value;
        entry = (written & ~ReadOnly | entry & ReadOnly) & Known;
        // An entry turned to edge has nothing remote to wait for; Linux clears remote IRR in this way.
        if ((entry & Level) == 0)
            entry &= ~RemoteIrr;
        else
            _state.Edges &= ~(1u << input);
        Serve(input);
    }

    private void Serve(int input)
    {
        ref ulong entry = ref _state.Entries[input];
        uint bit = 1u << input;
        bool level = (entry & Level) != 0;
        if ((entry & Mask) != 0 || ((level ? _state.Lines : _state.Edges) & bit) == 0 || (entry & RemoteIrr) != 0)
            return;
        var delivery = (ApicDelivery)(entry >> 8 & 7);
        if (level && delivery is ApicDelivery.Fixed or ApicDelivery.LowestPriority)
            entry |= RemoteIrr;
        _state.Edges &= ~bit;
        _deliver(new ApicMessage((byte)(entry >> 56), (byte)entry) { Delivery = delivery, IsLogical = (entry & Logical) != 0, IsLevel = level });
    }

    private struct State
    {
        public byte Index, Id;
        public uint Lines, Edges;
        public Redirections Entries;

        public static State AtReset()
        {
            var state = default(State);
            ((Span<ulong>)state.Entries).Fill(Mask);
            return state;
        }
    }

    [InlineArray(Inputs)]
    private struct Redirections
    {
        private ulong _first;
    }
}
