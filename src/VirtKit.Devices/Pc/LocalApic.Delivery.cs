using VirtKit.X86;

namespace VirtKit.Devices.Pc;

// Interrupts on their way in, through and out: SDM 3A §10.6, §10.8.
public sealed partial class LocalApic
{
    private const uint SendIllegalVector = 0x20, ReceiveIllegalVector = 0x40;

    byte IX64LocalApic.TaskPriority
    {
        get
        {
            lock (_gate)
                return (byte)(_state.TaskPriority >> 4);
        }

        set
        {
            lock (_gate)
            {
                _state.TaskPriority = (byte)(value << 4);
                Update();
            }
        }
    }

    byte IX64LocalApic.StartUpPage
    {
        get
        {
            lock (_gate)
                return _state.StartUpPage;
        }
    }

    ulong IX64LocalApic.Deadline
    {
        get
        {
            lock (_gate)
                return _timer.Deadline;
        }
    }

    /// <summary>Whether software has enabled it.</summary>
    internal bool IsEnabled => (_state.Spurious & SoftwareEnable) != 0;

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

    /// <summary>A line into LINT0 (0) or LINT1 (1).</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such input.</exception>
    public InterruptLine Lint(int input)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(input);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(input, 1);
        return new InterruptLine(this, input);
    }

    void IX64LocalApic.SetDeadline(ulong deadline, ulong delay)
    {
        lock (_gate)
            _timer.Await(deadline, delay);
    }

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
                Pulse(_pins.Nmi);
                break;
            case ApicDelivery.Init:
                _state = State.AtReset(_index) with { Id = _state.Id, Lint0 = _state.Lint0, Lint1 = _state.Lint1 };
                _timer.Reset();
                Pulse(_pins.Init);
                break;
            case ApicDelivery.StartUp:
                _state.StartUpPage = message.Vector;
                Pulse(_pins.StartUp);
                break;
        }
    }

    private static void Pulse(InterruptLine pin)
    {
        pin.Set(true);
        pin.Set(false);
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

    private void OnTimerDue()
    {
        lock (_gate)
        {
            if (!_timer.TryExpire())
                return;
            uint lvt = _state.Lvt[LvtTimer];
            if ((lvt & Masked) == 0)
                Take(new ApicMessage(0, (byte)lvt));
            Update();
        }
    }
}
