using VirtKit.Memory;

namespace VirtKit.RiscV;

/// <summary>One hart: its context in native memory, and everything about it that is not an engine's: traps, interrupts, CSRs, translation, slow memory accesses.</summary>
/// <remarks>Used by the thread that runs it, except where a member says otherwise.</remarks>
internal sealed unsafe partial class Hart : IDisposable
{
    /// <summary>Freed by its finalizer alone: kicks, pins and counters of a machine that was disposed of still find it.</summary>
    private readonly NativeBlock _contextBlock;
    private readonly ClockTimer _stimecmpTimer;
    private int _pins;
    private int _requests;
    private bool _inGuest;
    private int _exitRequested;
    private TrapCause _pendingCause;
    private ulong _pendingValue;
    private ulong _mmioAccesses;
    private ulong _traps;

    /// <param name="contextSize">The size in bytes of the engine's context, which begins with a <see cref="HartContext"/>.</param>
    public Hart(RiscVSystem system, int id, int contextSize, IHartEngine? engine)
    {
        System = system;
        Id = id;
        Engine = engine;
        _contextBlock = NativeBlock.Zeroed(contextSize);
        Context = (HartContext*)_contextBlock.Pointer;
        Mmu = new Mmu(Context, system, engine);
        _stimecmpTimer = system.Clock.CreateTimer(this, UpdateStimecmp);
        system.Timebase.Changed += UpdateStimecmp;
        system.Add(this);
        Reset();
    }

    public RiscVSystem System { get; }

    /// <summary>mhartid.</summary>
    public int Id { get; }

    public IHartEngine? Engine { get; }

    public HartContext* Context { get; }

    public Mmu Mmu { get; }

    public ref RiscVState State => ref Context->State;

    /// <summary>The address of the next instruction: engines set it before a call to what follows the current one; mret and its kin change it.</summary>
    public ulong NextPc { get; set; }

    public ulong MmioAccesses => _mmioAccesses;

    public ulong Traps => _traps;

    public ref ulong X(int register) => ref State.X[register];

    /// <summary>Whether running would make progress. Any thread.</summary>
    public bool HasWork
    {
        get
        {
            if (Volatile.Read(ref _requests) != 0 || IsStartPending)
                return true;
            return State.Started && (!State.Waiting || (PendingInterrupts & State.Mie) != 0);
        }
    }

    /// <summary>Gives back all but the context. The hart does not run any more; its pins, kicks and counters may still be used.</summary>
    /// <summary>Why no interrupt can wake the hart, which has no work; or nothing.</summary>
    public string? CannotBeWoken =>
        !State.Started ? "is stopped (SBI hart_stop)" : State.Waiting && (State.Mie & InterruptBit.All) == 0 ? $"waits for an interrupt at {new Gva(State.Pc)} with every source off (mie is 0)" : null;

    public void Dispose()
    {
        System.Timebase.Changed -= UpdateStimecmp;
        _stimecmpTimer.Dispose();
        Mmu.Dispose();
    }

    /// <summary>Records an exception of the instruction under way, to be taken by <see cref="TakeTrap"/>.</summary>
    /// <returns>Always <see langword="false"/>: did not complete.</returns>
    public bool Trap(TrapCause cause, ulong value)
    {
        _pendingCause = cause;
        _pendingValue = value;
        return false;
    }

    public bool IllegalInstruction() => Trap(TrapCause.IllegalInstruction, 0);

    /// <summary>Enters the handler of the recorded exception; State.Pc is the instruction's own address.</summary>
    public void TakeTrap()
    {
        if (_pendingCause == TrapCause.IllegalInstruction && _pendingValue == 0)
            _pendingValue = InstructionAt(State.Pc);
        EnterHandler((ulong)_pendingCause, isInterrupt: false, _pendingValue);
    }

    /// <summary>Makes the hart look around at the end of the current instruction or soon after. Any thread.</summary>
    public void RequestAttention()
    {
        Volatile.Write(ref Context->Attention, 1);
        GC.KeepAlive(this);
    }

    /// <summary>Makes the engine's Run come back. Any thread.</summary>
    public void RequestExit()
    {
        Volatile.Write(ref _exitRequested, 1);
        RequestAttention();
    }

    /// <summary>Whether the host asked for an exit since the last call; forgets it.</summary>
    public bool TakeExitRequest() => Interlocked.Exchange(ref _exitRequested, 0) != 0;

    /// <summary>What fences asked of this hart by others still has to happen before it runs on, and whether an interrupt is due: call when attention was asked for.</summary>
    public void LookAround()
    {
        Volatile.Write(ref Context->Attention, 0);
        // The flag is cleared before what it stands for is read; a setter sets it last.
        Interlocked.MemoryBarrier();
        ServeRequests();
        ServeStart();
        if (State.Started)
            TakeInterrupt();
        if (Volatile.Read(ref _exitRequested) != 0)
            RequestAttention();
    }

    /// <summary>Whether the hart may run on now; what it waited for ends the wait.</summary>
    public bool CanRun()
    {
        if (State.Waiting && (PendingInterrupts & State.Mie) != 0)
            Wake();
        return State.Started && !State.Waiting;
    }

    /// <summary>After privilege, mstatus or fcsr changed: what is derived from them.</summary>
    public void StatusChanged()
    {
        Context->FloatReady = (State.Mstatus & Mstatus.Fs) == Mstatus.FsDirty ? 1 : 0;
        // NX stands already, so that the host's result is all there is to it; rm 7 is dynamic.
        bool inexact = (State.Fcsr & 1) != 0;
        bool nearestEven = (State.Fcsr >> 5 & 7) == 0;
        Context->HostRounding = inexact ? 1u | (nearestEven ? 1u << 7 : 0) : 0;
        Mmu.SelectMode();
    }

    /// <summary>The bits of an instruction for mtval, or what of them can be fetched.</summary>
    private uint InstructionAt(ulong address)
    {
        uint word = 0;
        for (int half = 0; half < 2 && (half == 0 || (word & 3) == 3); half++)
        {
            ulong at = address + (ulong)half * 2;
            if (Mmu.TranslateCode(at, out _, out byte* host, out _) is not null)
                break;
            word |= (uint)*(ushort*)(host + (at & 0xfff)) << (16 * half);
        }

        return word;
    }
}
