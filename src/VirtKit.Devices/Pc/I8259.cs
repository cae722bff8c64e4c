namespace VirtKit.Devices.Pc;

/// <summary>The two cascaded 8259A interrupt controllers of a PC with their edge/level control registers. The line of the second one ends in input 2 of the first.</summary>
/// <remarks>
/// <see cref="Primary"/> and <see cref="Secondary"/> have this register map (8 bits wide), customarily at ports 0x20 and 0xa0:
/// <code>
/// 0  ICW1  W  bit 4 set: start of initialisation; bit 0 ICW4 follows, bit 1 single (bit 3, level mode for all, is ELCR's affair here)
/// 0  OCW2  W  bits 4:3 = 0: 7:5 rotate, specific, EOI; 2:0 level
/// 0  OCW3  W  bits 4:3 = 1: 6:5 special mask, 2 poll, 1:0 which register reads
/// 0  IRR or ISR  R
/// 1  ICW2 to ICW4 while initialising (ICW4: bit 1 automatic EOI, bit 4 special fully nested; buffered and 8085 modes are not modelled), otherwise IMR  RW
/// </code>
/// <see cref="EdgeLevel"/>, customarily at 0x4d0: one bit for each input, 1 for level. Inputs 0, 1, 2, 8 and 13 are edge-triggered for good.
/// An edge stays latched when its line falls before the acknowledgement. Thread-safe.
/// </remarks>
public sealed class I8259 : IInterruptSink
{
    private const int Cascade = 2;

    private readonly InterruptLine _output;
    private readonly Chip _first;
    private readonly Chip _second;

    /// <summary>Creates the pair.</summary>
    /// <param name="output">INTR: to a processor, or to a local APIC's LINT0.</param>
    public I8259(InterruptLine output)
    {
        _output = output;
        _first = new Chip(this, "pic", levelCapable: 0xf8) { IsPrimary = true };
        _second = new Chip(this, "pic-secondary", levelCapable: 0xde);
        EdgeLevel = new ElcrPort(this);
    }

    /// <summary>The registers of the first controller.</summary>
    public IDevice Primary => _first;

    /// <summary>The registers of the second controller.</summary>
    public IDevice Secondary => _second;

    /// <summary>The edge/level control registers of both.</summary>
    public IDevice EdgeLevel { get; }

    /// <summary>A line into an input.</summary>
    /// <param name="input">0 to 15; 2 is taken by the cascade and leads nowhere.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input.</exception>
    public InterruptLine Input(int input)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(input);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(input, 15);
        return new InterruptLine(this, input);
    }

    /// <summary>Answers the processor's interrupt acknowledge cycle: takes the most urgent request into service.</summary>
    /// <returns>The vector; that of input 7, spurious, where the request has gone.</returns>
    public int Acknowledge()
    {
        lock (this)
        {
            int input = _first.TakeRequest();
            int vector;
            if (input == Cascade)
            {
                int inner = _second.TakeRequest();
                vector = _second.VectorBase + (inner < 0 ? 7 : inner);
            }
            else
            {
                vector = _first.VectorBase + (input < 0 ? 7 : input);
            }

            Update();
            return vector;
        }
    }

    void IInterruptSink.SetInput(int input, bool level)
    {
        if (input is Cascade or < 0 or > 15)
            return;
        lock (this)
        {
            (input < 8 ? _first : _second).SetLevel(input & 7, level);
            Update();
        }
    }

    private void Update()
    {
        _first.SetLevel(Cascade, _second.Request() >= 0);
        _output.Set(_first.Request() >= 0);
    }

    private struct State
    {
        public byte Irr, Isr, Imr, Lines, Elcr, VectorBase;

        /// <summary>Which ICW port 1 takes next; 0 when initialised.</summary>
        public byte NextIcw;

        /// <summary>The input of the highest priority.</summary>
        public byte Highest;

        public bool TakesIcw4, Single, AutomaticEoi, RotateOnEoi, SpecialMask, SpecialFullyNested, ReadsIsr, Poll;
    }

    private sealed class Chip(I8259 pair, string name, byte levelCapable) : IDevice
    {
        private State _state;

        public bool IsPrimary { get; init; }

        public DeviceWindow Window => new(name, 2, AccessWidths.Byte);

        public int VectorBase => _state.VectorBase;

        public byte EdgeLevel
        {
            get => _state.Elcr;
            set => _state.Elcr = (byte)(value & levelCapable);
        }

        public ulong Read(ulong offset, int size)
        {
            lock (pair)
            {
                if (_state.Poll)
                {
                    _state.Poll = false;
                    int input = TakeRequest();
                    pair.Update();
                    return input < 0 ? 0 : 0x80u | (uint)input;
                }

                return offset == 1 ? _state.Imr : _state.ReadsIsr ? _state.Isr : _state.Irr;
            }
        }

        public void Write(ulong offset, int size, ulong value)
        {
            lock (pair)
            {
                byte written = (byte)value;
                if (offset == 1)
                    WriteData(written);
                else if ((written & 0x10) != 0)
                    Initialize(written);
                else if ((written & 0x08) != 0)
                    WriteOcw3(written);
                else
                    WriteOcw2(written >> 5, written & 7);
                pair.Update();
            }
        }

        public void Reset()
        {
            lock (pair)
            {
                _state = default;
                pair.Update();
            }
        }

        public void SetLevel(int input, bool level)
        {
            byte bit = (byte)(1 << input);
            bool was = (_state.Lines & bit) != 0, levelTriggered = (_state.Elcr & bit) != 0;
            _state.Lines = (byte)(level ? _state.Lines | bit : _state.Lines & ~bit);
            // The cascade is a level for us: a request that the second controller takes back must not stay latched in the first.
            if (levelTriggered || (IsPrimary && input == Cascade))
                _state.Irr = (byte)(level ? _state.Irr | bit : _state.Irr & ~bit);
            else if (level && !was)
                _state.Irr |= bit;
        }

        /// <summary>The input that would be served now, or -1.</summary>
        public int Request()
        {
            int requested = Rank(_state.Irr & ~_state.Imr);
            int served = _state.Isr;
            if (_state.SpecialMask)
                served &= ~_state.Imr;
            // Specially nested, the first controller still lets more urgent requests of the second through.
            if (_state.SpecialFullyNested && IsPrimary)
                served &= ~(1 << Cascade);
            return requested < Rank(served) ? (requested + _state.Highest) & 7 : -1;
        }

        public int TakeRequest()
        {
            int input = Request();
            if (input < 0)
                return -1;
            byte bit = (byte)(1 << input);
            if (!_state.AutomaticEoi)
                _state.Isr |= bit;
            else if (_state.RotateOnEoi)
                _state.Highest = (byte)((input + 1) & 7);
            if ((_state.Elcr & bit) == 0)
                _state.Irr &= (byte)~bit;
            return input;
        }

        /// <summary>How far the most urgent of some inputs is from the highest priority, 8 for none.</summary>
        private int Rank(int inputs)
        {
            inputs &= 0xff;
            return inputs == 0 ? 8 : System.Numerics.BitOperations.TrailingZeroCount((inputs | inputs << 8) >> _state.Highest);
        }

        private void Initialize(byte icw1) => _state = new State
        {
            Irr = (byte)(_state.Irr & _state.Elcr),
            Lines = (byte)(_state.Lines & _state.Elcr),
            Elcr = _state.Elcr,
            VectorBase = _state.VectorBase,
            NextIcw = 2,
            TakesIcw4 = (icw1 & 1) != 0,
            Single = (icw1 & 2) != 0,
        };

        private void WriteData(byte value)
        {
            switch (_state.NextIcw)
            {
                case 2:
                    _state.VectorBase = (byte)(value & 0xf8);
                    _state.NextIcw = !_state.Single ? (byte)3 : _state.TakesIcw4 ? (byte)4 : (byte)0;
                    break;
                case 3:
                    // The wiring of the cascade is fixed; what ICW3 says of it changes nothing.
                    _state.NextIcw = _state.TakesIcw4 ? (byte)4 : (byte)0;
                    break;
                case 4:
                    _state.SpecialFullyNested = (value & 0x10) != 0;
                    _state.AutomaticEoi = (value & 2) != 0;
                    _state.NextIcw = 0;
                    break;
                default:
                    _state.Imr = value;
                    break;
            }
        }

        private void WriteOcw2(int command, int level)
        {
            bool rotate = (command & 4) != 0, specific = (command & 2) != 0, eoi = (command & 1) != 0;
            int input = level;
            if (eoi && !specific)
            {
                int rank = Rank(_state.Isr);
                if (rank == 8)
                    return;
                input = (rank + _state.Highest) & 7;
            }

            if (eoi)
                _state.Isr &= (byte)~(1 << input);
            if (!eoi && !specific)
                _state.RotateOnEoi = rotate;
            else if (rotate)
                _state.Highest = (byte)((input + 1) & 7);
        }

        private void WriteOcw3(byte value)
        {
            _state.Poll = (value & 4) != 0;
            if ((value & 2) != 0)
                _state.ReadsIsr = (value & 1) != 0;
            if ((value & 0x40) != 0)
                _state.SpecialMask = (value & 0x20) != 0;
        }
    }

    private sealed class ElcrPort(I8259 pair) : IDevice
    {
        public DeviceWindow Window => new("elcr", 2, AccessWidths.Byte);

        public ulong Read(ulong offset, int size)
        {
            lock (pair)
                return Of(offset).EdgeLevel;
        }

        public void Write(ulong offset, int size, ulong value)
        {
            lock (pair)
                Of(offset).EdgeLevel = (byte)value;
        }

        public void Reset()
        {
            Write(0, 1, 0);
            Write(1, 1, 0);
        }

        private Chip Of(ulong offset) => offset == 0 ? pair._first : pair._second;
    }
}
