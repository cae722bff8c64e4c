using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using VirtKit.State;
using VirtKit.X86;

namespace VirtKit.Devices.Pc;

/// <summary>One processor's local APIC in xAPIC mode (SDM 3A chapter 10), made by <see cref="LocalApics"/>. Its timer counts a bus clock of 1 GHz.</summary>
/// <remarks>
/// Register map of the page (32 bits wide, 16 bytes apart; a read between them gives 0):
/// <code>
/// 0x020 ID  RW 31:24       0x030 VERSION R 0x0005_0014   0x080 TPR RW 7:0           0x090 APR R, 0      0x0a0 PPR R
/// 0x0b0 EOI W              0x0d0 LDR RW 31:24            0x0e0 DFR RW 31:28         0x0f0 SVR RW 9:8 (9 kept), 7:0
/// 0x100 ISR R  0x180 TMR R  0x200 IRR R, eight words each 0x280 ESR RW, a write shows what has come up since the last
/// 0x300 ICR low RW (12, delivery status, always idle)     0x310 ICR high RW 31:24
/// 0x320 LVT timer RW 18:17 mode (0 one-shot, 1 periodic, 2 TSC deadline), 16 mask, 7:0
/// 0x330 LVT thermal, 0x340 LVT performance RW (nothing raises them)   0x350 LVT LINT0, 0x360 LVT LINT1   0x370 LVT error RW
/// 0x380 initial count RW   0x390 current count R         0x3e0 divide RW 3, 1:0
/// </code>
/// At power-on LINT0 of the first processor takes external interrupts, as firmware would leave it (virtual wire mode). A periodic timer expires at most 10,000 times a
/// second, however short its period. The deadline itself is an MSR: <see cref="IX64LocalApic.SetDeadline"/>. x2APIC mode is not modelled. The bus's lock on the
/// instance only orders register accesses; what other threads touch is behind a gate of its own, which is never held while another APIC or an IOAPIC is called.
/// </remarks>
public sealed partial class LocalApic : IX64LocalApic, ISnapshotable, IInterruptSink, IDisposable
{
    private const uint Version = 0x0005_0014, SoftwareEnable = 0x100, Masked = 0x1_0000, LevelTriggered = 1 << 15, External = 0x700;
    private const int LvtTimer = 0, LvtLint0 = 3, LvtLint1 = 4, LvtError = 5, TimerModeShift = 17;

    // What a write to each LVT register keeps: timer, thermal, performance, LINT0, LINT1, error.
    private static ReadOnlySpan<uint> LvtKept => [0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff];

    // Wiring.
    private readonly LocalApics _bus;
    private readonly ApicPins _pins;
    private readonly Lock _gate = new();

    // Configuration.
    private readonly int _index;

    // Guest-visible state, with the timer's.
    private readonly ApicTimer _timer;
    private State _state;

    internal LocalApic(LocalApics bus, int index, MachineClock clock, ApicPins pins)
    {
        _bus = bus;
        _index = index;
        _pins = pins;
        _timer = new ApicTimer(clock, OnTimerDue);
        _state = State.AtReset(index);
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new("lapic", 0x1000, AccessWidths.Word);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        if ((offset & 15) != 0)
            return 0;
        lock (_gate)
            return ReadRegister(offset);
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
                    _timer.Start(written);
                    break;
                case 0x3e0:
                    _timer.Divide = written;
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
            _timer.Reset();
            _pins.Intr.Set(false);
            _pins.Nmi.Set(false);
        }
    }

    /// <inheritdoc/>
    public void GetRegisters(Span<byte> page)
    {
        lock (_gate)
        {
            for (int offset = 0; offset + sizeof(uint) <= page.Length; offset += 16)
                BinaryPrimitives.WriteUInt32LittleEndian(page[offset..], ReadRegister((ulong)offset));
        }
    }

    /// <inheritdoc/>
    public void SetRegisters(ReadOnlySpan<byte> page)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(page[0x30..]) == 0)
            return;
        lock (_gate)
        {
            // What is driven from outside stays as it is; errors that the guest has not asked for yet are not in the page.
            _state = State.OfPage(page, _state);
            _timer.Reset();
            _timer.Mode = (ApicTimerMode)(_state.Lvt[LvtTimer] >> TimerModeShift & 3);
            _timer.Divide = BinaryPrimitives.ReadUInt32LittleEndian(page[0x3e0..]);
            _timer.Resume(BinaryPrimitives.ReadUInt32LittleEndian(page[0x380..]), BinaryPrimitives.ReadUInt32LittleEndian(page[0x390..]));
            Update();
        }
    }

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        lock (_gate)
        {
            State state = _state;
            visitor.Version(1);
            visitor.Field("id", ref state.Id);
            visitor.Field("tpr", ref state.TaskPriority);
            visitor.Field("ldr", ref state.LogicalId);
            visitor.Field("start-up page", ref state.StartUpPage);
            visitor.Field("dfr", ref state.Format);
            visitor.Field("svr", ref state.Spurious);
            visitor.Field("esr", ref state.Errors);
            visitor.Field("pending errors", ref state.PendingErrors);
            visitor.Field("icr low", ref state.IcrLow);
            visitor.Field("icr high", ref state.IcrHigh);
            visitor.Fields("isr", (Span<uint>)state.Isr);
            visitor.Fields("tmr", (Span<uint>)state.Tmr);
            visitor.Fields("irr", (Span<uint>)state.Irr);
            visitor.Fields("lvt", (Span<uint>)state.Lvt);
            visitor.Field("lint0", ref state.Lint0);
            visitor.Field("lint1", ref state.Lint1);
            visitor.Require(state.Spurious <= 0x3ff, "svr", "has bits that are not kept");
            for (int i = 0; i < LvtKept.Length; i++)
                visitor.Require((state.Lvt[i] & ~LvtKept[i]) == 0, "lvt", "has bits that are not kept");
            visitor.Part("timer", _timer);
            if (!visitor.IsReading)
                return;
            _state = state;
            Update();
        }
    }

    /// <summary>Releases the timer.</summary>
    public void Dispose() => _timer.Dispose();

    private uint ReadRegister(ulong offset) => offset switch
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
        0x380 => _timer.InitialCount,
        0x390 => _timer.Count,
        0x3e0 => _timer.Divide,
        _ => 0,
    };

    private void WriteSpurious(uint value)
    {
        _state.Spurious = value;
        if (IsEnabled)
            return;
        foreach (ref uint entry in (Span<uint>)_state.Lvt)
            entry |= Masked;
    }

    private void WriteLvt(int entry, uint value)
    {
        _state.Lvt[entry] = value & LvtKept[entry] | (IsEnabled ? 0 : Masked);
        if (entry == LvtTimer)
            _timer.Mode = (ApicTimerMode)(value >> TimerModeShift & 3);
    }

    private struct State
    {
        public byte Id, TaskPriority, LogicalId, StartUpPage;
        public uint Format, Spurious, Errors, PendingErrors, IcrLow, IcrHigh;
        public VectorSet Isr, Tmr, Irr;
        public LocalVectors Lvt;
        public bool Lint0, Lint1;

        public static State AtReset(int index)
        {
            var state = new State { Id = (byte)index, Format = uint.MaxValue, Spurious = 0xff };
            ((Span<uint>)state.Lvt).Fill(Masked);
            if (index == 0)
                state.Lvt[LvtLint0] = External;
            return state;
        }

        public static State OfPage(ReadOnlySpan<byte> page, in State before)
        {
            var state = new State
            {
                Id = page[0x23],
                TaskPriority = page[0x80],
                LogicalId = page[0xd3],
                StartUpPage = before.StartUpPage,
                Format = Word(page, 0xe0) | 0x0fff_ffff,
                Spurious = Word(page, 0xf0) & 0x3ff,
                Errors = Word(page, 0x280),
                IcrLow = Word(page, 0x300) & 0xc_cfff,
                IcrHigh = Word(page, 0x310) & 0xff00_0000,
                Lint0 = before.Lint0,
                Lint1 = before.Lint1,
            };
            for (int i = 0; i < VectorSet.Words; i++)
                (state.Isr[i], state.Tmr[i], state.Irr[i]) = (Word(page, 0x100 + i * 16), Word(page, 0x180 + i * 16), Word(page, 0x200 + i * 16));
            for (int i = 0; i < LvtKept.Length; i++)
                state.Lvt[i] = Word(page, 0x320 + i * 16) & LvtKept[i];
            return state;
        }

        private static uint Word(ReadOnlySpan<byte> page, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(page[offset..]);
    }

    [InlineArray(6)]
    private struct LocalVectors
    {
        private uint _first;
    }
}
