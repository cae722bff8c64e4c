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
    private volatile bool _closed;

    /// <summary>Whether the current thread carries out the machine's run: a call that arrives here comes from a callback of the machine.</summary>
    public bool IsInside => ReferenceEquals(t_worksFor, this) || (Volatile.Read(ref _owner) is not null && Volatile.Read(ref _ownerThread) == Environment.CurrentManagedThreadId);

    /// <summary>Takes the machine for the current thread.</summary>
    /// <param name="operation">What for, as the owner is called in the refusal of others.</param>
    /// <exception cref="InvalidOperationException">Another operation owns the machine.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    public void Enter(string operation)
    {
        ObjectDisposedException.ThrowIf(_closed, typeof(Machine));
        if (Interlocked.CompareExchange(ref _owner, operation, null) is { } owner)
            throw Refusal(operation, owner);
        Volatile.Write(ref _ownerThread, Environment.CurrentManagedThreadId);
        // TIMING POINT 4: Close sets _closed before it takes the gate; here the gate is taken before _closed is read again. One of the two sees the other.
        if (!_closed)
            return;
        Leave();
        throw new ObjectDisposedException(nameof(Machine));
    }

    /// <summary>The operation will be carried out by a thread that is yet to come.</summary>
    public void Entrust() => Volatile.Write(ref _ownerThread, 0);

    /// <summary>Moves the ownership to the current thread, which carries the operation out.</summary>
    public void Adopt() => Volatile.Write(ref _ownerThread, Environment.CurrentManagedThreadId);

    /// <summary>Gives the machine back.</summary>
    public void Leave()
    {
        Volatile.Write(ref _ownerThread, 0);
        Volatile.Write(ref _owner, null);
    }

    /// <summary>The current thread runs a vCPU or the clock of the owner from here to its end.</summary>
    public void WorkHere() => t_worksFor = this;

    /// <summary>Takes the machine for good: waits until its owner has left, and lets nobody in from then on.</summary>
    /// <param name="urge">Asks the owner to leave; called again and again.</param>
    public void Close(Action urge)
    {
        _closed = true;
        SpinWait wait = default;
        while (Interlocked.CompareExchange(ref _owner, "Machine.Dispose", null) is not null)
        {
            urge();
            wait.SpinOnce();
        }

        Volatile.Write(ref _ownerThread, Environment.CurrentManagedThreadId);
    }

    private InvalidOperationException Refusal(string operation, string owner)
    {
        if (IsInside)
            return new InvalidOperationException($"{operation} was called from a callback of the machine while {owner} owns it. Ask for a stop, and call it when that has come back.");
        return new InvalidOperationException($"{operation} needs the machine for itself, and {owner} owns it{OnThread()}.");

        string OnThread() => Volatile.Read(ref _ownerThread) is > 0 and var thread ? $" on thread {thread}" : "";
    }
}
