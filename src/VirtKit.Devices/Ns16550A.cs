using VirtKit.Boot;
using VirtKit.Boot.Acpi;
using VirtKit.Devices.Consoles;
using VirtKit.State;

namespace VirtKit.Devices;

/// <summary>A 16550A serial port with its 16-byte FIFOs. Transmission takes no time; a backend that is full holds it back.</summary>
/// <remarks>
/// Register map (8 bits wide; DLAB is bit 7 of LCR):
/// <code>
/// 0  RBR  R   receive buffer              THR  W  transmit holding       DLL  RW with DLAB: divisor, low half (kept, without effect)
/// 1  IER  RW  interrupt enable            DLM  RW with DLAB: divisor, high half (kept, without effect)
/// 2  IIR  R   interrupt identification    FCR  W  FIFO control (bit 3, DMA mode, is not modelled)
/// 3  LCR  RW  line control (kept; only DLAB has an effect)
/// 4  MCR  RW  modem control: bit 4 is loopback, 3:0 are the outputs that it feeds back
/// 5  LSR  R   line status; parity, framing and break errors do not happen
/// 6  MSR  R   modem status: CTS, DSR and DCD are always asserted outside loopback
/// 7  SCR  RW  scratch
/// </code>
/// A character timeout is reported at once instead of after four character times. A reset of the machine keeps SCR, DLL and DLM, as the chip's MR pin does.
/// </remarks>
public sealed class Ns16550A : IDevice, IFdtNode, IAcpiNode, ISnapshotable, IDisposable
{
    private const byte ReceivedEnable = 1, TransmitEnable = 2, LineStatusEnable = 4, ModemStatusEnable = 8;
    private const byte FifoEnable = 1, FifoClearReceive = 2, FifoClearTransmit = 4;
    private const byte Dlab = 0x80, Loopback = 0x10;
    private const byte DataReady = 0x01, Overrun = 0x02, TransmitEmpty = 0x20, TransmitterIdle = 0x40;
    private const byte IirNone = 0x01, IirModemStatus = 0x00, IirTransmit = 0x02, IirReceived = 0x04, IirLineStatus = 0x06, IirTimeout = 0x0c, IirFifos = 0xc0;
    private const byte ModemInputs = 0xb0, ModemDeltas = 0x0f;

    // Wiring.
    private readonly IConsoleBackend _console;
    private readonly InterruptLine _line;
    private readonly MachineInput _input;
    private readonly HostConsole _host;
    private readonly WeakListener<Ns16550A> _listener;

    // Guest-visible state.
    private State _state = State.AtReset();

    /// <summary>Creates a port.</summary>
    /// <param name="console">The other end of the serial line; until the port is disposed of, no other device has it.</param>
    /// <param name="clock">The machine's clock, by whose door the console's changes come in (<see cref="MachineClock.CreateInput"/>).</param>
    /// <param name="line">The interrupt.</param>
    /// <exception cref="ArgumentException">Another device has the console.</exception>
    public Ns16550A(IConsoleBackend console, MachineClock clock, InterruptLine line)
    {
        ArgumentNullException.ThrowIfNull(console);
        ArgumentNullException.ThrowIfNull(clock);
        _console = console;
        _line = line;
        _input = clock.CreateInput(this, OnConsoleChanged);
        _host = new HostConsole(console, () => _input);
        _listener = new WeakListener<Ns16550A>(this, static port => port._input.Announce());
        AttachedBackends.Attach(console, this, nameof(console));
        console.Changed += _listener.OnEvent;
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new("uart", 8, AccessWidths.Byte, Undeclared);

    /// <summary>How the board connects the chip for accesses wider than a byte: <see cref="UndeclaredAccess.Split"/> as an ISA bus does, the default, or
    /// <see cref="UndeclaredAccess.Pad"/> where registers stand on a wider bus.</summary>
    public UndeclaredAccess Undeclared { get; init; } = UndeclaredAccess.Split;

    private bool DivisorAccess => (_state.Lcr & Dlab) != 0;

    private bool InLoopback => (_state.Mcr & Loopback) != 0;

    private int FifoDepth => (_state.Fcr & FifoEnable) != 0 ? ByteFifo.Capacity : 1;

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        byte value;
        switch (offset)
        {
            case 0 when DivisorAccess:
                return _state.Dll;
            case 0:
                value = _state.Received.Count > 0 ? _state.Received.Take() : (byte)0;
                ReceiveInput();
                break;
            case 1:
                return DivisorAccess ? _state.Dlm : _state.Ier;
            case 2:
                value = (byte)(Identification() | ((_state.Fcr & FifoEnable) != 0 ? IirFifos : 0));
                if ((value & 0x0f) == IirTransmit)
                    _state.TransmitPending = false;
                break;
            case 3:
                return _state.Lcr;
            case 4:
                return _state.Mcr;
            case 5:
                value = LineStatus();
                _state.Overrun = false;
                break;
            case 6:
                value = (byte)(ModemLines() | _state.ModemDeltas);
                _state.ModemDeltas = 0;
                break;
            default:
                return _state.Scratch;
        }

        UpdateLine();
        return value;
    }

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        byte written = (byte)value;
        switch (offset)
        {
            case 0 when DivisorAccess:
                _state.Dll = written;
                return;
            case 0:
                Transmit(written);
                break;
            case 1 when DivisorAccess:
                _state.Dlm = written;
                return;
            case 1:
                // Enabling the transmit interrupt while there is room raises it anew; drivers start transmission that way.
                if ((written & ~_state.Ier & TransmitEnable) != 0 && _state.Transmit.Count == 0)
                    _state.TransmitPending = true;
                _state.Ier = (byte)(written & 0x0f);
                break;
            case 2:
                ControlFifos(written);
                break;
            case 3:
                _state.Lcr = written;
                return;
            case 4:
                ControlModem((byte)(written & 0x1f));
                break;
            case 7:
                _state.Scratch = written;
                return;
        }

        UpdateLine();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _state = State.AtReset() with { Scratch = _state.Scratch, Dll = _state.Dll, Dlm = _state.Dlm };
        UpdateLine();
    }

    /// <inheritdoc/>
    public void Describe(FdtBuilder fdt, FdtResources resources) =>
        fdt.BeginDevice("serial", Window.Size, resources, "ns16550a").Cells("clock-frequency", 3_686_400).EndNode();

    /// <inheritdoc/>
    public void Describe(AmlBuilder aml, AcpiResources resources) => aml.BeginDevice(resources, "PNP0501", AcpiTrigger.Edge).End();

    /// <inheritdoc/>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State state = _state;
        visitor.Version(1);
        visitor.Field("ier", ref state.Ier);
        visitor.Field("fcr", ref state.Fcr);
        visitor.Field("lcr", ref state.Lcr);
        visitor.Field("mcr", ref state.Mcr);
        visitor.Field("scr", ref state.Scratch);
        visitor.Field("dll", ref state.Dll);
        visitor.Field("dlm", ref state.Dlm);
        visitor.Field("modem deltas", ref state.ModemDeltas);
        visitor.Part("received", ref state.Received);
        visitor.Part("transmit", ref state.Transmit);
        visitor.Field("overrun", ref state.Overrun);
        visitor.Field("transmit pending", ref state.TransmitPending);
        visitor.Require((state.Ier & 0xf0) == 0, "ier", "has bits that are not kept");
        visitor.Require((state.Fcr & ~0xc1) == 0, "fcr", "has bits that are not kept");
        visitor.Require((state.Mcr & 0xe0) == 0, "mcr", "has bits that are not kept");
        visitor.Require((state.ModemDeltas & ~ModemDeltas) == 0, "modem deltas", "has bits that are not kept");
        AttachedBackends.VisitOutside(visitor, "console", _console);
        if (!visitor.IsReading)
            return;
        _state = state;
        UpdateLine();
    }

    /// <summary>Lets go of the console.</summary>
    public void Dispose()
    {
        _console.Changed -= _listener.OnEvent;
        AttachedBackends.Detach(_console, this);
    }

    private void OnConsoleChanged()
    {
        SendOutput();
        ReceiveInput();
        UpdateLine();
    }

    private void Transmit(byte value)
    {
        _state.TransmitPending = false;
        if (InLoopback)
        {
            ReceiveLooped(value);
            _state.TransmitPending = true;
            return;
        }

        // A guest that writes without room loses the byte, as on the chip.
        if (_state.Transmit.Count < FifoDepth)
            _state.Transmit.Add(value);
        SendOutput();
    }

    /// <summary>A byte that comes in while there is no room is an overrun: without FIFOs it replaces the one in the receive buffer, with them it is lost in the shift register.</summary>
    private void ReceiveLooped(byte value)
    {
        bool hasFifos = (_state.Fcr & FifoEnable) != 0;
        _state.Overrun |= _state.Received.Count == FifoDepth;
        if (_state.Received.Count == FifoDepth && !hasFifos)
            _state.Received = default;
        if (_state.Received.Count < FifoDepth)
            _state.Received.Add(value);
    }

    private void SendOutput()
    {
        Span<byte> bytes = stackalloc byte[ByteFifo.Capacity];
        while (_state.Transmit.Count > 0)
        {
            int count = _state.Transmit.Peek(bytes);
            int taken = _host.Write(bytes[..count]);
            _state.Transmit.Drop(taken);
            if (taken < count)
                return;
            _state.TransmitPending = true;
        }
    }

    private void ReceiveInput()
    {
        if (InLoopback)
            return;
        Span<byte> bytes = stackalloc byte[ByteFifo.Capacity];
        int room = FifoDepth - _state.Received.Count;
        if (room <= 0)
            return;
        int count = _host.Read(bytes[..room]);
        foreach (byte b in bytes[..count])
            _state.Received.Add(b);
    }

    private void ControlFifos(byte value)
    {
        // The other bits are not programmed unless bit 0 is set with them.
        bool enabled = (value & FifoEnable) != 0, toggled = ((value ^ _state.Fcr) & FifoEnable) != 0;
        if (toggled || (enabled && (value & FifoClearReceive) != 0))
            _state.Received = default;
        if (toggled || (enabled && (value & FifoClearTransmit) != 0))
        {
            _state.Transmit = default;
            _state.TransmitPending = true;
        }

        _state.Fcr = (byte)(enabled ? value & 0xc1 : 0);
        ReceiveInput();
    }

    private void ControlModem(byte value)
    {
        byte before = ModemLines();
        _state.Mcr = value;
        byte changed = (byte)((before ^ ModemLines()) >> 4);
        // The ring indicator's delta is set by its trailing edge only.
        if ((changed & 4) != 0 && (before & 0x40) == 0)
            changed &= unchecked((byte)~4);
        _state.ModemDeltas |= changed;
        ReceiveInput();
    }

    private byte LineStatus() => (byte)(
        (_state.Received.Count > 0 ? DataReady : 0) | (_state.Overrun ? Overrun : 0) | (_state.Transmit.Count == 0 ? TransmitEmpty | TransmitterIdle : 0));

    /// <summary>MSR 7:4 = DCD, RI, DSR, CTS; loopback feeds OUT2, OUT1, DTR and RTS back.</summary>
    private byte ModemLines()
    {
        if (!InLoopback)
            return ModemInputs;
        int mcr = _state.Mcr;
        return (byte)((mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4);
    }

    /// <summary>IIR 3:0, the most urgent of what is pending and enabled.</summary>
    private byte Identification()
    {
        if ((_state.Ier & LineStatusEnable) != 0 && _state.Overrun)
            return IirLineStatus;
        if ((_state.Ier & ReceivedEnable) != 0 && _state.Received.Count > 0)
            return _state.Received.Count >= TriggerLevel() ? IirReceived : IirTimeout;
        if ((_state.Ier & TransmitEnable) != 0 && _state.TransmitPending)
            return IirTransmit;
        if ((_state.Ier & ModemStatusEnable) != 0 && (_state.ModemDeltas & ModemDeltas) != 0)
            return IirModemStatus;
        return IirNone;
    }

    private int TriggerLevel() => (_state.Fcr & FifoEnable) == 0 ? 1 : (_state.Fcr >> 6) switch { 0 => 1, 1 => 4, 2 => 8, _ => 14 };

    private void UpdateLine() => _line.Set(Identification() != IirNone);

    private struct State
    {
        public byte Ier, Fcr, Lcr, Mcr, Scratch, Dll, Dlm, ModemDeltas;
        public ByteFifo Received, Transmit;
        public bool Overrun;

        /// <summary>The transmit interrupt's own latch: cleared by reading IIR or writing THR.</summary>
        public bool TransmitPending;

        public static State AtReset() => new() { TransmitPending = true };
    }
}
