using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>The interrupt pins of a vCPU whose controllers are device models, and what such a vCPU is doing, which the kernel then does not know.</summary>
internal sealed unsafe class KvmInterrupts
{
    private const int Nmi = 1, Init = 2, StartUp = 4;

    private readonly int _index;
    private readonly KvmDescriptor _vcpu;
    private readonly KvmRun* _run;
    private readonly KvmRegisterFile _registers;
    private readonly X64Platform _platform;
    private readonly KvmApicPage? _page;
    private readonly uint _signature;
    private byte _priority;
    private volatile bool _intr;

    /// <summary>RFLAGS.IF as of the last exit: what <see cref="HasWork"/> tells other threads must not touch the shared pages, which go away with the machine.</summary>
    private volatile bool _enabled;

    /// <summary>The edges that have come and have not been taken.</summary>
    private int _edges;

    /// <param name="index">The vCPU's index.</param>
    /// <param name="vcpu">The vCPU.</param>
    /// <param name="run">What it shares with the kernel.</param>
    /// <param name="registers">Its registers.</param>
    /// <param name="platform">What answers INTR.</param>
    /// <param name="page">Its local APIC, where the controller has one for it.</param>
    /// <param name="signature">CPUID leaf 1 EAX.</param>
    public KvmInterrupts(int index, KvmDescriptor vcpu, KvmRun* run, KvmRegisterFile registers, X64Platform platform, KvmApicPage? page, uint signature)
    {
        _index = index;
        _vcpu = vcpu;
        _run = run;
        _registers = registers;
        _platform = platform;
        _page = page;
        _signature = signature;
        Activity = index == 0 ? X64Activity.Running : X64Activity.WaitForSipi;
    }

    /// <summary>What the vCPU is doing.</summary>
    public X64Activity Activity { get; set; }

    /// <summary>Whether running it gets anywhere.</summary>
    public bool HasWork => IsSignaled || Activity == X64Activity.Running || (Activity == X64Activity.Halted && IsWoken);

    /// <summary>Why no maskable interrupt can wake the vCPU, which has no work; or nothing. A non-maskable one still could, but nobody is expected to send it.</summary>
    public string? CannotBeWoken => Activity switch
    {
        X64Activity.Halted when _run->IfFlag == 0 => "is halted with interrupts off (HLT while RFLAGS.IF is 0)",
        X64Activity.WaitForSipi or X64Activity.Uninitialized => "waits to be started by another (INIT, SIPI)",
        _ => null,
    };

    /// <summary>Whether what a halted vCPU waits for has come.</summary>
    public bool IsWoken => IsNmiPending || (_intr && _enabled);

    /// <summary>Whether <see cref="TakeSignals"/> has something to do. A start-up message is lost on a vCPU that does not wait for one.</summary>
    public bool IsSignaled => Volatile.Read(ref _edges) is var edges && ((edges & Init) != 0 || ((edges & StartUp) != 0 && Activity is X64Activity.WaitForSipi or X64Activity.Uninitialized));

    /// <summary>Sets a pin. Any thread.</summary>
    /// <returns>Whether the vCPU has something to serve before it enters the guest.</returns>
    public bool Set(int pin, bool level)
    {
        switch (pin)
        {
            case X64Pin.Intr:
                if (_intr == level)
                    return false;
                _intr = level;
                return level;
            case X64Pin.Nmi when level:
                Interlocked.Or(ref _edges, Nmi);
                return true;
            case X64Pin.Init when level:
                // TIMING POINT K2: INIT forgets an earlier start-up message and a later one comes on top, so that one exchange finds them in their order.
                int edges = Volatile.Read(ref _edges);
                while (Interlocked.CompareExchange(ref _edges, (edges & ~StartUp) | Init, edges) is var seen && seen != edges)
                    edges = seen;
                return true;
            case X64Pin.StartUp when level:
                Interlocked.Or(ref _edges, StartUp);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Takes INIT and start-up messages. The kernel has finished the last instruction.</summary>
    /// <returns>Whether the vCPU is started.</returns>
    public bool TakeSignals()
    {
        int edges = Volatile.Read(ref _edges) & (Init | StartUp);
        if (edges != 0)
        {
            edges = Interlocked.And(ref _edges, ~(Init | StartUp));
            _registers.Get(out X64State state);
            state.Activity = Activity;
            if ((edges & Init) != 0)
                state.TakeInit(_signature);
            if ((edges & StartUp) != 0 && _page is not null && state.Activity is X64Activity.WaitForSipi or X64Activity.Uninitialized)
                state.TakeStartUp(_page.Apic.StartUpPage);
            if (state.Activity != Activity || (edges & Init) != 0)
                _registers.SetProcessor(in state);
            Restore(in state);
        }

        return Activity is X64Activity.Running or X64Activity.Halted;
    }

    /// <summary>Hands an NMI to the kernel, before the guest is entered.</summary>
    public void OfferNmi()
    {
        if (!IsNmiPending)
            return;
        IsNmiPending = false;
        _vcpu.TryCall(KvmIoctl.Nmi, 0);
    }

    /// <summary>Hands what else waits to the kernel, before the guest is entered.</summary>
    public void Offer()
    {
        if (_page is not null)
            _run->Cr8 = _priority = _page.Apic.TaskPriority;
        IX64InterruptController? controller = _platform.InterruptController;
        if (_intr && controller is not null && _run->ReadyForInterruptInjection != 0 && _run->IfFlag != 0)
        {
            int vector = controller.Acknowledge(_index);
            if (vector is >= 0 and <= 255)
            {
                uint argument = (uint)vector;
                _vcpu.TryCall(KvmIoctl.Interrupt, ref argument);
                _run->ReadyForInterruptInjection = 0;
            }
        }

        _run->RequestInterruptWindow = _intr && controller is not null ? (byte)1 : (byte)0;
        Activity = X64Activity.Running;
    }

    /// <summary>Takes note of what the guest has changed, and tells the controller of a MOV to CR8. The guest has been left.</summary>
    public void NoteExit()
    {
        _enabled = _run->IfFlag != 0;
        byte priority = (byte)_run->Cr8;
        if (priority == _priority)
            return;
        _priority = priority;
        _platform.InterruptController?.SetTaskPriority(_index, priority);
    }

    /// <summary>Fills in what the kernel does not know.</summary>
    public void Save(ref X64State state)
    {
        state.Activity = Activity;
        if (_page is null)
            return;
        _page.Apic.GetRegisters(state.Lapic);
        state.SetMsr(KvmTscDeadline.Msr, _page.Apic.Deadline);
    }

    /// <summary>Takes what the kernel does not know, but for the local APIC's registers.</summary>
    public void Restore(in X64State state)
    {
        Activity = state.Activity;
        _run->Cr8 = _priority = (byte)state.Cr8;
        SetFlags(state.Registers.Rflags);
    }

    /// <summary>Whether an NMI has come that the kernel does not know of yet.</summary>
    public bool IsNmiPending
    {
        get => (Volatile.Read(ref _edges) & Nmi) != 0;
        set
        {
            if (value)
                Interlocked.Or(ref _edges, Nmi);
            else
                Interlocked.And(ref _edges, ~Nmi);
        }
    }

    /// <summary>Takes RFLAGS that were set from outside: the shared copies are as old as the last exit.</summary>
    public void SetFlags(ulong rflags)
    {
        _enabled = (rflags & 0x200) != 0;
        _run->IfFlag = _enabled ? (byte)1 : (byte)0;
        _run->ReadyForInterruptInjection = 0;
    }

    /// <summary>Forgets what has come.</summary>
    public void Reset()
    {
        Interlocked.Exchange(ref _edges, 0);
        _page?.Apic.Reset();
    }
}
