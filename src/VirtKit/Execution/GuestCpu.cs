using System.Runtime.CompilerServices;
using VirtKit.Engines;
using VirtKit.Execution.FloatingPoint;
using VirtKit.State;

namespace VirtKit.Execution;

/// <summary>The part of a CPU that is the same for every ISA: its context in native memory, interrupt pins, pending requests, the retired count. An ISA derives its CPU from it and
/// implements traps and the memory accesses that miss the TLB. A CPU belongs to its machine; engines are attached to it and detached.</summary>
/// <remarks>Used by the thread that runs it, except where a member says otherwise.</remarks>
internal abstract unsafe partial class GuestCpu : ICodeSource, ISnapshotable, IDisposable
{
    private readonly GuestSystem _system;
    private readonly int _slotBytes;

    /// <summary>The memory for the current engine, and in front of it that for earlier ones: another thread may still be about to set Attention there.</summary>
    private readonly List<CpuMemory> _memories = new(2);
    private long _seenWrites;
    private int _pins;
    private int _exitRequested;

    /// <param name="system">What it shares with the machine's other CPUs.</param>
    /// <param name="id">Its number.</param>
    /// <param name="slotBytes">The size of its slots.</param>
    protected GuestCpu(GuestSystem system, int id, int slotBytes)
    {
        _system = system;
        _slotBytes = slotBytes;
        Id = id;
        Use(CreateMemory(ContextSize.Detached));
    }

    public int Id { get; }

    /// <summary>The engine's core that runs the CPU; <see langword="null"/> until one is attached for the first time.</summary>
    public ICpuEngine? Engine { get; private set; }

    public CpuContext* Context { get; private set; }

    /// <summary>The registers.</summary>
    public ulong* Slots { get; private set; }

    /// <summary>The address of the current instruction.</summary>
    public ref ulong Pc => ref Context->Pc;

    /// <summary>The address of the next instruction. An engine sets it to the address behind the current instruction before it calls the CPU for that instruction; a return from a trap changes it.</summary>
    public ulong NextPc { get; set; }

    /// <summary>Where the addresses begin at which an engine runs no instruction, but comes back with <see cref="ExitReason.Breakpoint"/>.</summary>
    public ulong StopsFrom { get; private set; }

    /// <summary>How many addresses there are from <see cref="StopsFrom"/> on; none unless set.</summary>
    public ulong Stops { get; private set; }

    /// <summary>Runs that came back to the host.</summary>
    public ulong Exits { get; private set; }

    /// <summary>Loads and stores that a device answered.</summary>
    public ulong MmioAccesses { get; protected set; }

    /// <summary>Exceptions and interrupts that were taken.</summary>
    public ulong Traps { get; protected set; }

    /// <summary>Translations that the TLB did not hold.</summary>
    public abstract ulong TlbMisses { get; }

    /// <summary>Whether running would make progress. Any thread.</summary>
    public abstract bool HasWork { get; }

    /// <summary>Why no interrupt can wake the CPU, which has no work; or nothing.</summary>
    public abstract string? CannotBeWoken { get; }

    /// <summary>The current code mode, a number below <see cref="GuestSystem.CodeModes"/>: translations of code addresses are kept apart by it.</summary>
    public abstract int CodeMode { get; }

    /// <summary>Whether the CPU takes trap after trap and retires no instruction in between. Valid while <see cref="CpuContext.Retired"/> is up to date.</summary>
    public abstract bool TrapsWithoutEnd { get; }

    /// <summary>Whether no instruction has retired since the last trap or interrupt was taken. Valid as <see cref="TrapsWithoutEnd"/> is.</summary>
    public abstract bool HasJustTrapped { get; }

    /// <summary>The levels of the pins. Any thread.</summary>
    public ulong Pins => (uint)Volatile.Read(ref _pins);

    /// <summary>Whether an engine stops in front of the instruction at an address.</summary>
    public bool StopsAt(ulong address) => address - StopsFrom < Stops;

    /// <summary>Sets where engines stop. Before anything has run there.</summary>
    /// <param name="start">The first address.</param>
    /// <param name="length">How many addresses there are.</param>
    public void SetStops(ulong start, ulong length) => (StopsFrom, Stops) = (start, length);

    /// <summary>Memory for an engine that is to run this CPU.</summary>
    public CpuMemory CreateMemory(ContextSize size) => new(size, _slotBytes);

    /// <summary>Another engine runs the CPU from here on, in memory of its own. The CPU does not run; the engine knows nothing of it any more, if it ever did.</summary>
    /// <param name="memory">From <see cref="CreateMemory"/>.</param>
    public void Attach(ICpuEngine engine, CpuMemory memory)
    {
        if (ReferenceEquals(engine, Engine))
            return;
        memory.CopyFrom(_memories[^1]);
        Use(memory);
        Engine = engine;
        Attached(engine);
        engine.CodeBytesChanged();
        RequestAttention();
    }

    /// <summary>The exit of a CPU that <see cref="TrapsWithoutEnd"/>.</summary>
    public abstract VcpuExit TrapExit();

    /// <summary>The state at power-on; pins keep their levels, for they are the devices'.</summary>
    public abstract void Reset();

    /// <summary>Gives back all but the context. The CPU does not run any more; its pins, kicks and counters may still be used.</summary>
    public abstract void Dispose();

    /// <summary>Whether there is a pin of this number.</summary>
    public abstract bool HasPin(int pin);

    /// <summary>Sets a pin's level; a number that <see cref="HasPin"/> denies is ignored. Any thread.</summary>
    public void SetPin(int pin, bool level)
    {
        if (!HasPin(pin))
            return;
        if (level)
        {
            if ((Interlocked.Or(ref _pins, 1 << pin) & 1 << pin) == 0)
            {
                RequestAttention();
                _system.Events.Wake(Id);
            }
        }
        else
        {
            Interlocked.And(ref _pins, ~(1 << pin));
        }
    }

    /// <summary>Makes the engine leave its fast path and call <see cref="ServeAttention"/>, at the end of the current instruction or soon after. Any thread.</summary>
    public void RequestAttention()
    {
        Volatile.Write(ref Context->Attention, 1);
        GC.KeepAlive(this);
    }

    /// <summary>Makes the engine's Run return <see cref="ExitReason.Kicked"/>. Any thread.</summary>
    public void RequestExit()
    {
        Volatile.Write(ref _exitRequested, 1);
        RequestAttention();
    }

    /// <summary>Whether an exit has been requested and not taken yet. Any thread.</summary>
    public bool IsExitRequested => Volatile.Read(ref _exitRequested) != 0;

    /// <summary>Whether the host asked for an exit since the last call; forgets it.</summary>
    public bool TakeExitRequest() => Interlocked.Exchange(ref _exitRequested, 0) != 0;

    /// <summary>Serves remote fences, then takes a pending interrupt. Call when Attention is set.</summary>
    public void ServeAttention()
    {
        Volatile.Write(ref Context->Attention, 0);
        // The flag is cleared before what it stands for is read; a setter sets it last.
        Interlocked.MemoryBarrier();
        ServeRequests();
        ServeEvents();
        if (IsExitRequested)
            RequestAttention();
    }

    /// <summary>Whether the CPU can execute instructions now. A pending interrupt ends its wait.</summary>
    public abstract bool CanRun();

    /// <summary>Acts as the ISA's fence for changed code, if the host may have written code since the last call.</summary>
    public void SynchronizeCode()
    {
        if (_system.Memory.MayBeWrittenSince(ref _seenWrites))
            Engine?.CodeBytesChanged();
    }

    /// <summary>Records that the instruction under way does not exist.</summary>
    /// <returns>Always <see langword="false"/>: did not complete.</returns>
    public abstract bool IllegalInstruction();

    /// <summary>Enters the handler of the recorded exception; <see cref="Pc"/> is the instruction's own address.</summary>
    public abstract void TakeTrap();

    /// <summary>Translates the address of an instruction.</summary>
    /// <param name="page">The guest physical page.</param>
    /// <param name="host">The page's bytes in the host.</param>
    /// <param name="cached">Whether the engine hears of it when the translation goes; if not, it must not keep it.</param>
    /// <returns>Whether there is one; if not, the exception is recorded.</returns>
    public abstract bool TryTranslateCode(ulong address, out ulong page, out byte* host, out bool cached);

    /// <summary>Translates an instruction's address for an engine that is about to decode or translate code there; where the ISA has no fence for changed code, stores to the page are watched from now on.</summary>
    /// <param name="page">The guest physical page.</param>
    /// <param name="host">The page's bytes in the host.</param>
    /// <param name="cached">Whether what is made of it may be kept.</param>
    /// <returns>Whether there is one; if not, the exception is recorded.</returns>
    public bool TryFindCode(ulong address, out ulong page, out byte* host, out bool cached)
    {
        if (!TryTranslateCode(address, out page, out host, out cached))
            return false;
        if (cached && _system.Watched is { } watched)
            cached = watched.TryWatch(this, page);
        return true;
    }

    /// <summary>Translates a data access that does not cross a page, and fills the TLB.</summary>
    /// <param name="region">The mapping that the physical address lies in, or null for nowhere.</param>
    /// <returns>Whether it may be done; if not, the exception is recorded.</returns>
    public abstract bool TryTranslateData(ulong address, int size, MemoryAccess access, out ulong physical, out MemoryRegion? region);

    /// <summary>Registers, pins and what has retired. Translations are forgotten, as behind a fence. The CPU does not run.</summary>
    public void Visit(StateVisitor visitor)
    {
        ulong retired = Context->Retired, pins = Pins;
        visitor.Version(1);
        visitor.Field("retired", ref retired);
        visitor.Field("pins", ref pins);
        // A call whose exit the host has not been given yet: the budget ended behind the same instruction.
        bool calls = _exit is { Reason: ExitReason.Hypercall };
        ulong call = calls ? _exit!.Value.Code : 0;
        visitor.Field("calls", ref calls);
        visitor.Field("call", ref call);
        for (int pin = 0; pin < 64; pin++)
            visitor.Require((pins >> pin & 1) == 0 || HasPin(pin), "pins", $"has {pin}, which there is not");
        if (visitor.IsReading)
            Context->Retired = retired;
        VisitRegisters(visitor);
        if (!visitor.IsReading)
            return;
        Volatile.Write(ref _pins, (int)pins);
        _exit = calls ? new VcpuExit(ExitReason.Hypercall, call) : null;
        RequestAttention();
    }

    /// <summary>The registers as they are, <see cref="Pc"/> among them, for <see cref="PutRegisters"/> and <see cref="GuestInstructions.Registers"/>.</summary>
    /// <param name="registers">Takes <see cref="GuestInstructions.RegistersSize"/> bytes.</param>
    public abstract void GetRegisters(Span<byte> registers);

    /// <summary>Puts back what <see cref="GetRegisters"/> gave of this CPU: nothing is checked.</summary>
    public abstract void PutRegisters(ReadOnlySpan<byte> registers);

    /// <summary>A load, zero-extended. This and the accesses below record an exception where they return <see langword="false"/>.</summary>
    public abstract bool Load(ulong address, int size, out ulong value);

    /// <summary>A store of the low bytes of a value.</summary>
    public abstract bool Store(ulong address, int size, ulong value);

    /// <summary>A load of 16 bytes.</summary>
    public bool LoadPair(ulong address, out ulong low, out ulong high)
    {
        high = low = 0;
        return MayReachPair(address, MemoryAccess.Load) && Load(address, 8, out low) && Load(address + 8, 8, out high);
    }

    /// <summary>A store of 16 bytes: where a part of them may not be written, nothing is.</summary>
    public bool StorePair(ulong address, ulong low, ulong high) => MayReachPair(address, MemoryAccess.Store) && Store(address, 8, low) && Store(address + 8, 8, high);

    public abstract bool LoadReserved(ulong address, int size, out ulong value);

    /// <param name="failed">0 where it was stored, otherwise 1.</param>
    public abstract bool StoreConditional(ulong address, int size, ulong value, out ulong failed);

    /// <param name="old">The bytes before, zero-extended.</param>
    public abstract bool Atomic(AtomicOperation operation, ulong address, int size, ulong operand, out ulong old);

    /// <summary>Whether the floating-point unit may be used; makes its state dirty.</summary>
    public abstract bool UseFloat();

    /// <summary>The exact operation: every rounding mode, the flags, NaNs.</summary>
    public abstract bool Float(FloatOperation operation, FloatFormat format, RoundingMode mode, ulong a, ulong b, ulong c, out ulong result);

    int ICodeSource.Read(ulong address, Span<byte> bytes)
    {
        if (!TryTranslateCode(address, out _, out byte* host, out bool cached))
            return 0;
        // A translation that must not be cached may hold for this instruction only, not for the page.
        int count = cached ? (int)Math.Min((ulong)bytes.Length, 0x1000 - (address & 0xfff)) : _system.Instructions.Alignment;
        // SAFETY: that many lie in the page that was translated.
        new ReadOnlySpan<byte>(host + (address & 0xfff), count).CopyTo(bytes);
        return count;
    }

    /// <summary>The registers by the names of <see cref="GuestInstructions.Registers"/>. Counters are relative to <see cref="CpuContext.Retired"/>, which is restored already.</summary>
    protected abstract void VisitRegisters(StateVisitor visitor);

    /// <summary>Whether stores into a page are watched. Such a page has no TLB entry for stores, so that each one takes the slow path.</summary>
    /// <param name="page">The page's guest physical address.</param>
    protected bool IsWatched(ulong page) => _system.Watched is { } watched && watched.Contains(page);

    /// <summary>Reports a completed store, which stays in one page: if the page is watched, blocks made from it are dropped.</summary>
    /// <param name="physical">Its guest physical address.</param>
    protected void NoteStore(ulong physical)
    {
        if (IsWatched(physical & ~0xfffUL))
            _system.Watched!.Stored(this, physical & ~0xfffUL);
    }

    /// <summary>An engine was attached, which has no mapping cached; <see cref="Context"/> and <see cref="Slots"/> are at other addresses.</summary>
    protected abstract void Attached(ICpuEngine engine);

    /// <summary>The ISA's part of <see cref="ServeAttention"/>: starts by other CPUs, interrupts.</summary>
    protected abstract void ServeEvents();

    /// <summary>Forgets every translation of an address.</summary>
    protected abstract void FlushTranslations();

    /// <summary>Forgets the translations of stores (<see cref="Tlb.FlushStores"/>). Not asked for where the ISA has a fence for changed code.</summary>
    protected virtual void ForgetStoreTranslations() => FlushTranslations();

    private bool MayReachPair(ulong address, MemoryAccess access)
    {
        int inFirst = (int)Math.Min(16, 0x1000 - (address & 0xfff));
        return TryTranslateData(address, inFirst, access, out _, out _) && (inFirst == 16 || TryTranslateData(address + (ulong)inFirst, 16 - inFirst, access, out _, out _));
    }

    private void Use(CpuMemory memory)
    {
        _memories.Remove(memory);
        _memories.Add(memory);
        Context = memory.Context;
        Slots = memory.Slots;
    }
}
