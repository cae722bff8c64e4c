using System.Buffers.Binary;
using VirtKit.Engines;
using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>One hart: everything about it that is not an engine's: traps, interrupts, CSRs, translation, slow memory accesses.</summary>
internal sealed unsafe partial class Hart : GuestCpu, IVcpuState<RiscVState>
{
    private readonly ClockTimer _stimecmpTimer;
    private TrapCause _pendingCause;
    private ulong _pendingValue;

    public Hart(RiscVSystem system, int id)
        : base(system, id, sizeof(RiscVSlots))
    {
        System = system;
        Mmu = new Mmu(Context, (RiscVState*)Slots, system);
        _stimecmpTimer = system.Clock.CreateTimer(this, UpdateStimecmp);
        system.Timebase.Changed += UpdateStimecmp;
        system.Add(this);
        Reset();
    }

    public RiscVSystem System { get; }

    public Mmu Mmu { get; }

    /// <summary>The state but for its pc, which is <see cref="GuestCpu.Pc"/>.</summary>
    public ref RiscVState State => ref ((RiscVSlots*)Slots)->State;

    public override ulong TlbMisses => Mmu.Misses;

    public override int CodeMode => Mmu.CodeMode;

    public ref ulong X(int register) => ref State.X[register];

    public override bool HasWork
    {
        get
        {
            if (HasRequests || IsStartPending)
                return true;
            return State.Started && (!State.Waiting || (PendingInterrupts & State.Mie) != 0);
        }
    }

    public override string? CannotBeWoken =>
        !State.Started ? "is stopped (SBI hart_stop)" : State.Waiting && (State.Mie & InterruptBit.All) == 0 ? $"waits for an interrupt at {new Gva(Pc)} with every source off (mie is 0)" : null;

    public override void Dispose()
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

    public override bool IllegalInstruction() => Trap(TrapCause.IllegalInstruction, 0);

    public override void TakeTrap()
    {
        (TrapCause cause, ulong value) = (_pendingCause, _pendingValue);
        if (cause == TrapCause.IllegalInstruction && value == 0)
            value = InstructionAt(Pc);
        EnterHandler((ulong)cause, isInterrupt: false, value);
    }

    public override bool CanRun()
    {
        if (State.Waiting && (PendingInterrupts & State.Mie) != 0)
            Wake();
        return State.Started && !State.Waiting;
    }

    public override bool TryTranslateCode(ulong address, out ulong page, out byte* host, out bool cached) =>
        Mmu.TranslateCode(address, out page, out host, out cached) is not { } cause || Trap(cause, address);

    public override bool TryTranslateData(ulong address, int size, MemoryAccess access, out ulong physical, out MemoryRegion? region) =>
        Mmu.TranslateData(address, size, access, out physical, out region) is not { } cause || Trap(cause, address);

    protected override void Attached(ICpuEngine engine) => Mmu.Attach(Context, (RiscVState*)Slots, engine);

    protected override void ServeEvents()
    {
        ServeStart();
        if (State.Started)
            TakeInterrupt();
    }

    protected override void FlushTranslations() => Mmu.Flush();

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
        Span<byte> code = stackalloc byte[4];
        code.Clear();
        System.Instructions.Fetch(this, address, code);
        uint word = BinaryPrimitives.ReadUInt32LittleEndian(code);
        return (word & 3) == 3 ? word : (ushort)word;
    }
}
