using VirtKit.Engines;

namespace VirtKit;

/// <summary>A virtual CPU: the unit that is scheduled. Its machine runs it; a host that wants to drive it itself calls <see cref="Run"/> instead.</summary>
/// <remarks>One thread at a time runs it; <see cref="Kick"/>, <see cref="Pin"/> and <see cref="Counters"/> are for any thread.</remarks>
public sealed class Vcpu : IInterruptSink
{
    private readonly Action<Vcpu> _wake;
    private int _running;
    private volatile bool _closed;

    internal Vcpu(int index, VcpuCore core, Action<Vcpu> wake)
    {
        Index = index;
        Core = core;
        _wake = wake;
    }

    /// <summary>The vCPU's index in its machine, from 0; on RISC-V also its hart ID.</summary>
    public int Index { get; }

    /// <summary>Event counts since construction; they may lag while the vCPU runs.</summary>
    public VcpuCounters Counters => Core.Counters;

    internal VcpuCore Core { get; }

    /// <summary>Runs guest instructions on the calling thread.</summary>
    /// <param name="budget">The most instructions to retire. The interpreter and the translator stop exactly there.</param>
    /// <param name="cancellationToken">Stops it as <see cref="Kick"/> does.</param>
    /// <returns>Why it came back.</returns>
    /// <exception cref="InvalidOperationException">Another thread runs this vCPU.</exception>
    /// <exception cref="ObjectDisposedException">Its machine has been disposed of.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled before the first instruction.</exception>
    public VcpuExit Run(ulong budget = ulong.MaxValue, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(_closed, this);
        if (Interlocked.Exchange(ref _running, 1) != 0)
            throw new InvalidOperationException($"vCPU {Index} is running already.");
        try
        {
            using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(static v => ((Vcpu)v!).Kick(), this);
            Core.SynchronizeCode();
            return Core.Run(budget);
        }
        finally
        {
            Volatile.Write(ref _running, 0);
        }
    }

    /// <summary>Makes the current or the next <see cref="Run"/> come back with <see cref="ExitReason.Kicked"/> within a bounded number of instructions.</summary>
    public void Kick()
    {
        Core.RequestExit();
        _wake(this);
    }

    /// <summary>The line into one of the vCPU's interrupt pins.</summary>
    /// <param name="pin">The architecture's number; on RISC-V the bit of <c>mip</c>: 3 MSIP, 7 MTIP, 9 SEIP, 11 MEIP.</param>
    public InterruptLine Pin(int pin) => new(this, pin);

    /// <summary>Copies the architectural state out. The vCPU is not running.</summary>
    /// <typeparam name="TState">The ISA's state struct.</typeparam>
    /// <exception cref="ArgumentException">The vCPU's ISA has another state struct.</exception>
    /// <exception cref="ObjectDisposedException">Its machine has been disposed of.</exception>
    public TState GetState<TState>() where TState : struct
    {
        StateOf<TState>().GetState(out TState state);
        return state;
    }

    /// <summary>Copies the architectural state in, which may be any bytes, for example of a snapshot. What a register cannot hold is dropped as a write by the guest would
    /// drop it. The vCPU is not running.</summary>
    /// <typeparam name="TState">The ISA's state struct.</typeparam>
    /// <param name="state">The state.</param>
    /// <exception cref="ArgumentException">The vCPU's ISA has another state struct, or a field has a value that does not exist; the message names it. Nothing has
    /// changed.</exception>
    /// <exception cref="ObjectDisposedException">Its machine has been disposed of.</exception>
    public void SetState<TState>(in TState state) where TState : struct => StateOf<TState>().SetState(in state);

    /// <summary>Returns the vCPU to its state at power-on. It is not running.</summary>
    public void Reset()
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        Core.Reset();
    }

    /// <summary>Releases what the engine has of it. A host's thread that still runs it is stopped first: the memory under it goes away.</summary>
    internal void Close()
    {
        SpinWait wait = default;
        while (Interlocked.Exchange(ref _running, 1) != 0)
        {
            Core.RequestExit();
            wait.SpinOnce();
        }

        _closed = true;
        Core.Dispose();
    }

    void IInterruptSink.SetInput(int input, bool level)
    {
        Core.SetPin(input, level);
        if (level)
            _wake(this);
    }

    private IVcpuState<TState> StateOf<TState>() where TState : struct
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        return Core as IVcpuState<TState> ?? throw new ArgumentException($"{typeof(TState).Name} is not the state of this vCPU's architecture.");
    }
}
