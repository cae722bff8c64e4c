using System.Diagnostics;

namespace VirtKit.Scheduling;

/// <summary>Who owns a machine: one run, or one operation that needs the machine stopped. Whoever comes second is refused, and is told who the owner is.</summary>
/// <remarks>Thread-safe. What is for any thread at any time (a kick, a pin, counters, a request to stop) does not pass the gate.</remarks>
internal sealed class MachineGate
{
    /// <summary>The gate whose machine runs one of its vCPUs or its clock on this very thread.</summary>
    [ThreadStatic]
    private static MachineGate? t_worksFor;

    private string? _owner;
    private int _ownerThread;
    private int _lentTo;
    private volatile bool _closed;

    /// <summary>What is left to do once the gate has been closed and the last owner has left.</summary>
    private Action? _release;
    private volatile bool _released;

    /// <summary>How long <see cref="Close"/> waits for an owner whose callback does not return.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Whether the current thread carries out the machine's run: a call that arrives here comes from a callback of the machine.</summary>
    public bool IsInside => ReferenceEquals(t_worksFor, this) || (Volatile.Read(ref _owner) is not null && Volatile.Read(ref _ownerThread) == Environment.CurrentManagedThreadId);

    /// <summary>Takes the machine for the current thread.</summary>
    /// <param name="operation">What for, as the owner is called in the refusal of others.</param>
    /// <exception cref="InvalidOperationException">Another operation owns the machine.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public void Enter(string operation)
    {
        if (!TryEnter(operation))
            throw Refusal(operation, Volatile.Read(ref _owner) ?? "another operation");
    }

    /// <summary>As <see cref="Enter"/>, where an owner is nothing to complain about.</summary>
    /// <returns>Whether the current thread owns the machine.</returns>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public bool TryEnter(string operation)
    {
        ObjectDisposedException.ThrowIf(_closed, typeof(Machine));
        if (Interlocked.CompareExchange(ref _owner, operation, null) is not null)
            return false;
        Volatile.Write(ref _ownerThread, Environment.CurrentManagedThreadId);
        // TIMING POINT 4: Close sets _closed before it takes the gate; here the gate is taken before _closed is read again. One of the two sees the other.
        if (!_closed)
            return true;
        Leave();
        throw new ObjectDisposedException(nameof(Machine));
    }

    /// <summary>The operation will be carried out by a thread that is yet to come.</summary>
    public void Entrust() => Volatile.Write(ref _ownerThread, 0);

    /// <summary>Moves the ownership to the current thread, which carries the operation out.</summary>
    public void Adopt() => Volatile.Write(ref _ownerThread, Environment.CurrentManagedThreadId);

    /// <summary>The owner, for whom the current thread works, lends the machine to the operations that this thread calls.</summary>
    public void Lend() => Volatile.Write(ref _lentTo, Environment.CurrentManagedThreadId);

    /// <summary>Ends what <see cref="Lend"/> began.</summary>
    public void TakeBack() => Volatile.Write(ref _lentTo, 0);

    /// <summary>Whether the current thread may use the machine on its owner's behalf.</summary>
    public bool IsLentHere => Volatile.Read(ref _lentTo) == Environment.CurrentManagedThreadId;

    /// <summary>Gives the machine back. Whoever leaves a closed gate releases the machine, unless <see cref="Close"/> does.</summary>
    public void Leave()
    {
        Volatile.Write(ref _ownerThread, 0);
        Volatile.Write(ref _owner, null);
        // TIMING POINT 5: Close sets _closed and tries to take the gate then; here the gate is given back and _closed is read then. One of the two takes it.
        Interlocked.MemoryBarrier();
        if (_closed)
            TryRelease();
    }

    /// <summary>The current thread runs a vCPU or the clock of the owner from here to its end.</summary>
    public void WorkHere() => t_worksFor = this;

    /// <summary>Takes the machine for good: lets nobody in from now on, and releases it once its owner has left. Idempotent.</summary>
    /// <param name="urge">Asks the owner to leave; called again and again.</param>
    /// <param name="release">Releases the machine. Called once, on this thread or on that of the owner when it leaves.</param>
    /// <param name="waits">Whether to wait for the owner; not where the current thread is in a callback of the machine. A callback that takes too long is not waited for
    /// either: the machine then lives until it comes back.</param>
    public void Close(Action urge, Action release, bool waits)
    {
        Interlocked.CompareExchange(ref _release, release, null);
        _closed = true;
        long start = Stopwatch.GetTimestamp();
        SpinWait wait = default;
        while (!TryRelease())
        {
            urge();
            if (!waits || Stopwatch.GetElapsedTime(start) > Patience)
                return;
            wait.SpinOnce();
        }
    }

    /// <summary>Releases the machine if nobody owns it.</summary>
    /// <returns>Whether it has been released.</returns>
    private bool TryRelease()
    {
        if (Interlocked.CompareExchange(ref _owner, "Machine.Dispose", null) is not null)
            return _released;
        Volatile.Write(ref _ownerThread, Environment.CurrentManagedThreadId);
        try
        {
            _release!();
        }
        finally
        {
            _released = true;
        }

        return true;
    }

    private InvalidOperationException Refusal(string operation, string owner)
    {
        if (IsInside)
            return new InvalidOperationException($"{operation} was called from a callback of the machine while {owner} owns it. Ask for a stop, and call it when that has come back.");
        return new InvalidOperationException($"{operation} needs the machine for itself, and {owner} owns it{OnThread()}.");

        string OnThread() => Volatile.Read(ref _ownerThread) is > 0 and var thread ? $" on thread {thread}" : "";
    }
}
