namespace VirtKit.Engines;

/// <summary>The third tier of the engine SPI: runs the instructions of one vCPU.</summary>
/// <remarks>A core is used by one thread at a time, except <see cref="RequestExit"/>, <see cref="SetPin"/>, <see cref="HasWork"/> and <see cref="Counters"/>,
/// which any thread may use at any time. A core also implements <see cref="IVcpuState{TState}"/> for its ISA's one state struct.</remarks>
public abstract class VcpuCore : IDisposable
{
    /// <summary>Runs guest instructions until the budget is used up or something needs the host.</summary>
    /// <param name="budget">The most instructions to retire; <see cref="ulong.MaxValue"/> is no limit. A software engine stops exactly at the budget;
    /// an engine that cannot count (hardware assist) treats anything but <see cref="ulong.MaxValue"/> as it documents.</param>
    public abstract VcpuExit Run(ulong budget);

    /// <summary>The host starts the vCPU, or lets it go on: code that the host wrote into guest memory while it stood is what runs from the next instruction on. Called
    /// before <see cref="Run"/> by the host's own calls, not between the slices of a schedule. Does nothing where the hardware keeps fetched code coherent.</summary>
    public virtual void SynchronizeCode() { }

    /// <summary>Makes the current or the next <see cref="Run"/> come back with <see cref="ExitReason.Kicked"/> within a bounded number of instructions. It says nothing
    /// about why: the scheduler looks at what it was asked for, and runs the core again where nothing was.</summary>
    public abstract void RequestExit();

    /// <summary>Makes the current <see cref="Run"/> come back with <see cref="ExitReason.BudgetExhausted"/> after the instruction under way, because the clock has
    /// a new deadline that may lie inside the current budget. Only called on the thread that runs this very core, from within an access to a device or the clock;
    /// other threads use <see cref="RequestExit"/>. A request that this run did not see is dropped at its end.</summary>
    public abstract void EndSlice();

    /// <summary>Whether the vCPU has an interrupt pin of this number. Any thread; the same for the core's lifetime.</summary>
    /// <param name="pin">The architecture's number of the pin; on RISC-V the bit of <c>mip</c>.</param>
    public virtual bool HasPin(int pin) => pin is >= 0 and < 64;

    /// <summary>Sets the level of an interrupt pin. A number that <see cref="HasPin"/> denies is ignored.</summary>
    /// <param name="pin">The architecture's number of the pin; on RISC-V the bit of <c>mip</c>.</param>
    /// <param name="level"><see langword="true"/> to assert.</param>
    public abstract void SetPin(int pin, bool level);

    /// <summary>Whether <see cref="Run"/> would make progress: the vCPU is started and not waiting, or what it waits for has come. A pending
    /// <see cref="RequestExit"/> is no work.</summary>
    public abstract bool HasWork { get; }

    /// <summary>Why no interrupt can wake the vCPU as it stands (it waits with every source off, or is stopped), for people; <see langword="null"/> where one can, and where
    /// the engine does not know. Asked only while <see cref="HasWork"/> is not set, of a core that does not run, on any thread.</summary>
    public virtual string? CannotBeWoken => null;

    /// <summary>Instructions retired since creation; exact also while a device is being accessed, 0 where the engine cannot count.</summary>
    public abstract ulong Retired { get; }

    /// <summary>Event counts since creation; a snapshot that may lag while the core runs.</summary>
    public abstract VcpuCounters Counters { get; }

    /// <summary>Returns the vCPU to its state at power-on. The core is not running.</summary>
    public abstract void Reset();

    /// <summary>The machine's vCPU is this core's from here on, as it stands. Neither runs.</summary>
    internal virtual void Attach() { }

    /// <summary>Access to the state, if it is one of this type.</summary>
    internal virtual IVcpuState<TState>? StateAs<TState>() where TState : struct => this as IVcpuState<TState>;

    /// <summary>Releases what the core holds. It is not running.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases what the core holds; called at most once with <see langword="true"/>.</summary>
    protected virtual void Dispose(bool disposing) { }
}

/// <summary>Access to the one architectural state struct of an ISA. The core is not running while it is used.</summary>
/// <typeparam name="TState">The ISA's state struct, for example <see cref="RiscV.RiscVState"/>.</typeparam>
public interface IVcpuState<TState> where TState : struct
{
    /// <summary>Copies the state out.</summary>
    void GetState(out TState state);

    /// <summary>Copies the state in, which may be any bytes: bits that the architecture does not hold are dropped as a write by the guest would drop them (RV-Priv §2.3,
    /// WARL), starting from the registers at power-on.</summary>
    /// <exception cref="ArgumentException">A field that no write could set so, which the message names, for example a privilege mode that does not exist. The state of the
    /// core has not changed.</exception>
    void SetState(in TState state);
}

/// <summary>Event counts of one vCPU since its creation. An engine leaves at 0 what it cannot count.</summary>
/// <param name="Retired">Instructions retired.</param>
/// <param name="Exits">Returns from <see cref="VcpuCore.Run"/>.</param>
/// <param name="MmioAccesses">Loads and stores that a device answered.</param>
/// <param name="TlbMisses">Translations that the software TLB did not hold.</param>
/// <param name="Traps">Exceptions and interrupts that the guest took.</param>
public readonly record struct VcpuCounters(ulong Retired, ulong Exits, ulong MmioAccesses, ulong TlbMisses, ulong Traps);
