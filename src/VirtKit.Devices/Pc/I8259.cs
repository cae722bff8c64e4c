using VirtKit.State;
using VirtKit.X86;

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
    /// <summary>The input of the first controller that the second one ends in.</summary>
    internal const int Cascade = 2;

    private readonly InterruptLine _output;
    private readonly I8259Chip _first;
    private readonly I8259Chip _second;

    /// <summary>Creates the pair.</summary>
    /// <param name="output">INTR: to a processor, or to a local APIC's LINT0.</param>
    public I8259(InterruptLine output)
    {
        _output = output;
        _first = new I8259Chip(this, "pic", levelCapable: 0xf8) { IsPrimary = true };
        _second = new I8259Chip(this, "pic-secondary", levelCapable: 0xde);
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

    /// <summary>Copies the state out.</summary>
    public void GetState(out X64PicState primary, out X64PicState secondary)
    {
        lock (this)
            (primary, secondary) = (_first.State, _second.State);
    }

    /// <summary>Copies the state in.</summary>
    public void SetState(in X64PicState primary, in X64PicState secondary)
    {
        lock (this)
        {
            (_first.State, _second.State) = (primary, secondary);
            Update();
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

    internal void Update()
    {
        _first.SetLevel(Cascade, _second.Request() >= 0);
        _output.Set(_first.Request() >= 0);
    }

    private sealed class ElcrPort(I8259 pair) : IDevice, ISnapshotable
    {
        public DeviceWindow Window => new("elcr", 2, AccessWidths.Byte, UndeclaredAccess.Split);

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

        /// <summary>That of the controllers, whose third window this is.</summary>
        public void Visit(StateVisitor visitor)
        {
            lock (pair)
            {
                X64PicState first = pair._first.State, second = pair._second.State;
                visitor.Version(1);
                visitor.Part("first", ref first);
                visitor.Part("second", ref second);
                pair._first.CheckLevels(visitor, first);
                pair._second.CheckLevels(visitor, second);
                if (visitor.IsReading)
                    pair.SetState(first, second);
            }
        }

        private I8259Chip Of(ulong offset) => offset == 0 ? pair._first : pair._second;
    }
}
