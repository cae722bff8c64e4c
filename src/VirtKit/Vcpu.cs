using VirtKit.Engines;

namespace VirtKit;

/// <summary>A virtual CPU: the unit that is scheduled. Its machine runs it with all others; a host that wants to drive one vCPU itself calls <see cref="Run"/>.</summary>
/// <remarks>A machine has one owner at a time: while it runs, in whatever way, <see cref="Run"/>, <see cref="GetState"/>, <see cref="SetState"/> and
/// <see cref="Reset"/> are refused, also from within its callbacks. <see cref="Kick"/>, <see cref="Pin"/> and <see cref="Counters"/> are for any thread.</remarks>
/// <example>
/// One instruction with a register set before:
/// <code>
/// Vcpu hart = machine.Vcpus[0];
/// RiscVState state = hart.GetState&lt;RiscVState&gt;();
/// state.X[10] = 42;
/// hart.SetState(state);
/// VcpuExit exit = hart.Run(budget: 1);
/// Console.WriteLine($"{exit.Reason} at 0x{hart.GetState&lt;RiscVState&gt;().Pc:x}, {hart.Counters.Retired} instructions");
/// </code>
/// </example>
public sealed class Vcpu : IInterruptSink
{
    private readonly Machine _machine;
    private VcpuCore _core;
    private int _kicked;

    internal Vcpu(Machine machine, int index, VcpuCore core)
    {
        _machine = machine;
        Index = index;
        _core = core;
    }

    /// <summary>The vCPU's index in its machine, from 0; on RISC-V also its hart ID.</summary>
    public int Index { get; }

    /// <summary>Event counts since construction; they may lag while the vCPU runs.</summary>
    public VcpuCounters Counters => Core.Counters;

    /// <summary>What runs it: that of the engine which is attached. It changes while no vCPU runs.</summary>
    internal VcpuCore Core
    {
        get => Volatile.Read(ref _core);
        set => Volatile.Write(ref _core, value);
    }

    /// <summary>An exit of this vCPU that the host has not been given yet; set on the thread that runs it, taken when none does.</summary>
    internal VcpuExit? UndeliveredExit { get; set; }

    /// <summary>Runs this vCPU alone, on the calling thread, as <see cref="Machine.Run(CancellationToken)"/> runs all: the machine's clock moves, its timers fire, and a
    /// stop that the guest or the host asks for ends it with its exit. The other vCPUs stand still.</summary>
    /// <param name="budget">The most instructions to retire. The interpreter and the translator stop exactly there; KVM counts nanoseconds of the host instead.</param>
    /// <param name="cancellationToken">Stops it, also before the first instruction; the exit is then <see cref="ExitReason.Kicked"/>.</param>
    /// <returns>Why it came back. <see cref="ExitReason.Halted"/> where it waits for an interrupt: with <see cref="VcpuScheduling.Deterministic"/> once no timer
    /// of the machine is left that could wake it, with <see cref="VcpuScheduling.Threads"/> at once.</returns>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">Its machine has been disposed of.</exception>
    public VcpuExit Run(ulong budget = ulong.MaxValue, CancellationToken cancellationToken = default) => _machine.RunOne(this, budget, cancellationToken);

    /// <summary>Makes the current or the next <see cref="Run"/> come back with <see cref="ExitReason.Kicked"/> within a bounded number of instructions. It does not stop
    /// <see cref="Machine.Run(CancellationToken)"/>.</summary>
    public void Kick()
    {
        Volatile.Write(ref _kicked, 1);
        Interrupt();
    }

    /// <summary>The line into one of the vCPU's interrupt pins.</summary>
    /// <param name="pin">The architecture's number; on RISC-V the bit of <c>mip</c>: 3 MSIP, 7 MTIP, 9 SEIP, 11 MEIP.</param>
    /// <exception cref="ArgumentOutOfRangeException">The vCPU has no such pin.</exception>
    public InterruptLine Pin(int pin) => Core.HasPin(pin) ? new InterruptLine(this, pin)
        : throw new ArgumentOutOfRangeException(nameof(pin), pin, $"A vCPU of {_machine.Architecture.Name} has no pin of this number.");

    /// <summary>Copies the architectural state out. The machine is not running.</summary>
    /// <typeparam name="TState">The ISA's state struct.</typeparam>
    /// <exception cref="ArgumentException">The vCPU's ISA has another state struct.</exception>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">Its machine has been disposed of.</exception>
    public TState GetState<TState>() where TState : struct
    {
        using MachineHold hold = _machine.Hold("Vcpu.GetState");
        StateOf<TState>().GetState(out TState state);
        return state;
    }

    /// <summary>Copies the architectural state in, which may be any bytes, for example of a snapshot. What a register cannot hold is dropped as a write by the guest would
    /// drop it. The machine is not running.</summary>
    /// <typeparam name="TState">The ISA's state struct.</typeparam>
    /// <param name="state">The state.</param>
    /// <exception cref="ArgumentException">The vCPU's ISA has another state struct, or a field has a value that does not exist; the message names it. Nothing has
    /// changed.</exception>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">Its machine has been disposed of.</exception>
    public void SetState<TState>(in TState state) where TState : struct
    {
        using MachineHold hold = _machine.Hold("Vcpu.SetState");
        _machine.RefuseWhileRecorded("Vcpu.SetState");
        StateOf<TState>().SetState(in state);
    }

    /// <summary>Returns the vCPU to its state at power-on. The machine is not running.</summary>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">Its machine has been disposed of.</exception>
    public void Reset()
    {
        using MachineHold hold = _machine.Hold("Vcpu.Reset");
        _machine.RefuseWhileRecorded("Vcpu.Reset");
        ResetOwned();
    }

    /// <summary>Brings the vCPU out of the guest, so that who runs it looks at what it was asked for. Any thread.</summary>
    internal void Interrupt()
    {
        Core.RequestExit();
        _machine.Wake(Index);
    }

    /// <summary>Whether it was kicked since the last call; forgets it.</summary>
    internal bool TakeKick() => Volatile.Read(ref _kicked) != 0 && Interlocked.Exchange(ref _kicked, 0) != 0;

    /// <summary>Forgets what the host has not been told yet: it is of another state.</summary>
    internal void ForgetExits()
    {
        UndeliveredExit = null;
        TakeKick();
    }

    /// <summary>As <see cref="Reset"/>, for an owner of the machine.</summary>
    internal void ResetOwned()
    {
        ForgetExits();
        Core.Reset();
    }

    void IInterruptSink.SetInput(int input, bool level)
    {
        Core.SetPin(input, level);
        if (level)
            _machine.Wake(Index);
    }

    private IVcpuState<TState> StateOf<TState>() where TState : struct =>
        Core.StateAs<TState>() ?? throw new ArgumentException($"{typeof(TState).Name} is not the state of this vCPU's architecture.");
}
