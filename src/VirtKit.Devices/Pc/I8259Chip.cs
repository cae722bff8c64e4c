using VirtKit.State;
using VirtKit.X86;

namespace VirtKit.Devices.Pc;

/// <summary>One 8259A of an <see cref="I8259"/>, whose lock it takes for register accesses; everything else is called with the lock held.</summary>
/// <param name="pair">What it is half of.</param>
/// <param name="name">Its window's name.</param>
/// <param name="levelCapable">The inputs that may be level-triggered.</param>
internal sealed class I8259Chip(I8259 pair, string name, byte levelCapable) : IDevice, ISnapshotable
{
    private X64PicState _state;

    public bool IsPrimary { get; init; }

    public DeviceWindow Window => new(name, 2, AccessWidths.Byte, UndeclaredAccess.Split);

    public int VectorBase => _state.VectorBase;

    public byte EdgeLevel
    {
        get => _state.Elcr;
        set => _state.Elcr = (byte)(value & levelCapable);
    }

    /// <summary>The state; the pair holds its lock and updates its output.</summary>
    public X64PicState State
    {
        get => _state;
        set => _state = value with { Elcr = (byte)(value.Elcr & levelCapable), Highest = (byte)(value.Highest & 7) };
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

    public void Visit(StateVisitor visitor)
    {
        lock (pair)
        {
            X64PicState state = _state;
            visitor.Version(1);
            visitor.Part("registers", ref state);
            CheckLevels(visitor, state);
            if (!visitor.IsReading)
                return;
            _state = state;
            pair.Update();
        }
    }

    public void CheckLevels(StateVisitor visitor, in X64PicState state) =>
        visitor.Require((state.Elcr & ~levelCapable) == 0, "elcr", "has inputs that are edge-triggered for good");

    public void SetLevel(int input, bool level)
    {
        byte bit = (byte)(1 << input);
        bool was = (_state.Lines & bit) != 0, levelTriggered = (_state.Elcr & bit) != 0;
        _state.Lines = (byte)(level ? _state.Lines | bit : _state.Lines & ~bit);
        // The cascade is a level for us: a request that the second controller takes back must not stay latched in the first.
        if (levelTriggered || (IsPrimary && input == I8259.Cascade))
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
            served &= ~(1 << I8259.Cascade);
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

    private void Initialize(byte icw1) => _state = new X64PicState
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
