using System.Runtime.InteropServices;
using VirtKit.Engines;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>One vCPU: enters the guest, answers what leaves it, and comes back only for what the host must decide.</summary>
internal sealed unsafe class KvmVcpuCore : VcpuCore, IVcpuState<X64State>, IVcpuState<X64Registers>
{
    private const int Kick = 1, Slice = 2, SliceTimer = 4;
    private const ulong NanosecondsPerMillisecond = 1_000_000;

    private readonly int _index;
    private readonly KvmDescriptor _vcpu;
    private readonly KvmRunPages _pages;
    private readonly KvmRun* _run;
    private readonly KvmRegisterFile _registers;
    private readonly X64StateRules _rules;
    private readonly KvmKick _kick;
    private readonly KvmBus _bus;
    private readonly KvmPostedWrites _postedWrites;
    private readonly KvmHypercalls _hypercalls;
    private readonly KvmApicPage? _apicPage;
    private readonly KvmInterrupts _interrupts;
    private readonly KvmTscDeadline? _tscDeadline;
    private readonly bool _kernelController;
    private readonly Action? _resetChips;
    private X64State _powerOn;
    private bool _captured;
    private bool _touched;

    private Timer? _sliceTimer;
    private int _requests;
    private ulong _exits;

    public KvmVcpuCore(int index, KvmDescriptor vcpu, int runSize, KvmRegisterFile registers, PartitionContext context, X64Architecture architecture, KvmPostedWrites postedWrites,
        bool kernelController, KvmTscDeadline? tscDeadline, bool answersDeadline, CpuidTable cpuid, Action? resetChips)
    {
        _resetChips = resetChips;
        _index = index;
        _vcpu = vcpu;
        _registers = registers;
        _postedWrites = postedWrites;
        _hypercalls = new KvmHypercalls(index, registers, architecture, context.Events);
        _kernelController = kernelController;
        _tscDeadline = tscDeadline;
        _pages = new KvmRunPages(index, vcpu, runSize);
        _run = _pages.Run;
        _kick = new KvmKick(vcpu, _pages);
        X64Platform platform = X64Platform.Of(context);
        if (!kernelController && architecture.HasLocalApics)
            _apicPage = new KvmApicPage(_run, platform, index);
        _interrupts = new KvmInterrupts(index, vcpu, _run, registers, platform, _apicPage, cpuid.Lookup(1, 0).Eax);
        _rules = new X64StateRules(cpuid);
        _bus = new KvmBus(index, _run, context, architecture.Msrs, answersDeadline ? tscDeadline : null, _apicPage);
        // The kernel's local APIC can start it before it is first run here: its power-on state would be gone, or be taken for what it is in.
        if (kernelController && index > 0)
        {
            try
            {
                Touch();
            }
            catch
            {
                _pages.Dispose();
                throw;
            }
        }
    }

    public override bool HasWork => _kernelController || _interrupts.HasWork;

    public override string? CannotBeWoken => _kernelController ? null : _interrupts.CannotBeWoken;

    public override ulong Retired => 0;

    public override VcpuCounters Counters => new(0, _exits, _bus.Accesses, 0, 0);

    public override VcpuExit Run(ulong budget)
    {
        if (!TakeSignals() || !HasWork)
            return new VcpuExit((Interlocked.And(ref _requests, ~Kick) & Kick) != 0 ? ExitReason.Kicked : ExitReason.Halted);
        if (budget == 0)
            return new VcpuExit(ExitReason.BudgetExhausted);
        Touch();
        if (budget != ulong.MaxValue)
            StartSliceTimer(budget);
        // What is disposed of meanwhile, against the rule, stays until the guest has been left.
        bool hasVcpu = false, hasPages = false;
        try
        {
            _vcpu.DangerousAddRef(ref hasVcpu);
            _pages.DangerousAddRef(ref hasPages);
            _kick.Enter();
            return Enter();
        }
        finally
        {
            _kick.Leave();
            if (hasPages)
                _pages.DangerousRelease();
            if (hasVcpu)
                _vcpu.DangerousRelease();
            _exits++;
            if (budget != ulong.MaxValue)
            {
                _sliceTimer!.Change(Timeout.Infinite, Timeout.Infinite);
                Interlocked.And(ref _requests, ~SliceTimer);
            }
        }
    }

    public override void RequestExit() => Request(Kick);

    public override void EndSlice() => Request(Slice);

    public override bool HasPin(int pin) => pin is X64Pin.Intr or X64Pin.Nmi or X64Pin.Init or X64Pin.StartUp;

    public override void SetPin(int pin, bool level)
    {
        if (_interrupts.Set(pin, level))
            _kick.Send();
    }

    public override void Reset()
    {
        Interlocked.Exchange(ref _requests, 0);
        if (_touched)
            Write(in _powerOn);
        if (!_kernelController)
            _interrupts.Reset();
        _resetChips?.Invoke();
    }

    public void GetState(out X64State state)
    {
        TakeSignals();
        if (!_touched)
        {
            Capture();
            state = _powerOn;
            return;
        }

        Read(out state);
    }

    /// <exception cref="ArgumentException">The processor cannot be in this state, or the kernel refuses it; the message names the field. Nothing has changed then.</exception>
    public void SetState(in X64State state)
    {
        X64State next = state;
        _rules.Apply(ref next);
        Touch();
        Read(out X64State before);
        try
        {
            Write(in next);
        }
        catch
        {
            Restore(in before);
            throw;
        }
    }

    public void GetState(out X64Registers state) => _registers.Get(out state);

    /// <inheritdoc cref="SetState(in X64State)"/>
    public void SetState(in X64Registers state)
    {
        X64Registers next = state;
        if (!_rules.Apply(ref next))
        {
            // Virtual-8086 mode: whether it can be is for the rest of the state to say.
            GetState(out X64State whole);
            (whole.Registers, whole.Activity) = (next, X64Activity.Running);
            SetState(in whole);
            return;
        }

        Touch();
        _registers.Set(in next);
        _interrupts.Activity = X64Activity.Running;
        _interrupts.SetFlags(next.Rflags);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _sliceTimer?.Dispose();
            _kick.Close();
            _pages.Dispose();
            _vcpu.Dispose();
        }

        base.Dispose(disposing);
    }

    private void Read(out X64State state)
    {
        _registers.Get(out state);
        state.Events.NmiPending |= _interrupts.IsNmiPending;
        if (!_kernelController)
            _interrupts.Save(ref state);
    }

    private void Write(in X64State state)
    {
        _registers.Set(in state);
        _interrupts.IsNmiPending = state.Events.NmiPending;
        _interrupts.Restore(in state);
        if (_apicPage is null)
            return;
        _apicPage.Apic.SetRegisters(state.Lapic);
        _tscDeadline?.TryWrite(_index, KvmTscDeadline.Msr, state.FindMsr(KvmTscDeadline.Msr) ?? 0);
    }

    /// <summary>Takes back what was set before a part was refused. What the kernel handed out itself it takes, but for values that go on by themselves.</summary>
    private void Restore(in X64State state)
    {
        try
        {
            Write(in state);
        }
        catch (Exception e) when (e is ArgumentException or VirtKitException)
        {
        }
    }

    /// <summary>Keeps the state at power-on before the first change. A dozen requests to the kernel, and mostly the host asks for that state first anyway.</summary>
    private void Touch()
    {
        if (_touched)
            return;
        Capture();
        _touched = true;
    }

    private void Capture()
    {
        if (_captured)
            return;
        Read(out _powerOn);
        _captured = true;
    }

    private VcpuExit Enter()
    {
        // An exit that is due once the instruction which made it has been completed.
        VcpuExit due = default;
        bool isDue = false;
        while (true)
        {
            _interrupts.OfferNmi();
            if (!_kernelController)
                _interrupts.Offer();
            int error = Libc.ioctl(_vcpu.Number, KvmIoctl.Run, 0) < 0 ? Marshal.GetLastPInvokeError() : 0;
            _postedWrites.Drain(_run, _bus);
            if (!_kernelController)
                _interrupts.NoteExit();
            if (error != 0)
            {
                if (error is not (Libc.Eintr or Libc.Eagain))
                    return new VcpuExit(ExitReason.Unsupported, (ulong)error, $"KVM cannot run vCPU {_index}: {Libc.Message(error)}.");
                _kick.Acknowledge();
                int requests = Interlocked.Exchange(ref _requests, 0);
                if (isDue)
                {
                    // What else was asked for is for the next run.
                    if (requests != 0)
                        Request(requests);
                    isDue = false;
                    if (due.Reason != ExitReason.Hypercall || !_hypercalls.TryAnswer(ref due))
                        return due;
                    // A request that arrived during KVM_RUN is served here: every return passes this point.
                    if (!TakeSignals())
                        return new VcpuExit(ExitReason.Halted);
                    continue;
                }

                if ((requests & Kick) != 0)
                    return new VcpuExit(ExitReason.Kicked);
                if (requests != 0)
                    return new VcpuExit(ExitReason.BudgetExhausted);
                if (!TakeSignals())
                    return new VcpuExit(ExitReason.Halted);
                continue;
            }

            switch (_run->ExitReason)
            {
                case KvmExit.Io:
                    if (_run->Io.Port == _hypercalls.Port && _run->Io is { Direction: 1, Count: 1 })
                        Complete(new VcpuExit(ExitReason.Hypercall, _bus.OutValue));
                    else
                        _bus.AccessPorts();
                    break;
                case KvmExit.Mmio:
                    _bus.AccessMemory();
                    break;
                case KvmExit.X86Rdmsr or KvmExit.X86Wrmsr:
                    if (_bus.AccessMsr() is { } failure)
                        Complete(new VcpuExit(ExitReason.InternalError, _run->Msr.Index, failure));
                    break;
                case KvmExit.Hypercall:
                    _run->Hypercall.Ret = unchecked((ulong)-1000L); // KVM_ENOSYS, until the host answers in RAX
                    Complete(new VcpuExit(ExitReason.Hypercall, _run->Hypercall.Nr));
                    break;
                case KvmExit.Hlt:
                    if (_interrupts.IsWoken)
                        break;
                    _interrupts.Activity = X64Activity.Halted;
                    return new VcpuExit(ExitReason.Halted);
                case KvmExit.IrqWindowOpen or KvmExit.Intr or KvmExit.SetTpr or KvmExit.IoapicEoi:
                    break;
                default:
                    return KvmFailure.Read(_run, _registers);
            }
        }

        void Complete(VcpuExit exit)
        {
            (due, isDue) = (exit, true);
            // The kernel finishes the instruction and turns back before the next.
            Volatile.Write(ref _run->ImmediateExit, 1);
        }
    }

    /// <returns>Whether the vCPU is started.</returns>
    private bool TakeSignals()
    {
        if (_kernelController)
            return true;
        if (_interrupts.IsSignaled)
            Touch();
        return _interrupts.TakeSignals();
    }

    private void StartSliceTimer(ulong budget)
    {
        _sliceTimer ??= new Timer(static core => ((KvmVcpuCore)core!).Request(SliceTimer), this, Timeout.Infinite, Timeout.Infinite);
        _sliceTimer.Change((long)Math.Clamp(budget / NanosecondsPerMillisecond, 1, int.MaxValue), Timeout.Infinite);
    }

    private void Request(int request)
    {
        Interlocked.Or(ref _requests, request);
        _kick.Send();
    }
}
