namespace VirtKit.Accel.Kvm;

/// <summary>Gets a thread out of KVM_RUN from any other thread.</summary>
/// <remarks>
/// Two halves that meet without a gap. <c>immediate_exit</c> turns back a thread that has not entered the guest yet; a signal brings out one that is inside. The
/// signal has no handler: the running thread blocks it, KVM_RUN alone lets it in (KVM_SET_SIGNAL_MASK) and comes back with EINTR, and the thread takes it away
/// with sigtimedwait while it is blocked again. It is only sent while the target is known to block it, because its default action would end the process.
/// </remarks>
internal sealed unsafe class KvmKick
{
    /// <summary>A real-time signal away from both ends of the range, where the C library and the runtime take theirs.</summary>
    private const int Signal = 63;

    private const ulong SignalBit = 1UL << (Signal - 1);

    private readonly KvmDescriptor _vcpu;
    private readonly KvmRun* _run;

    /// <summary>Keeps what <see cref="_run"/> points to from its finalizer while a thread is in here.</summary>
    private readonly KvmRunPages _pages;
    private readonly Lock _gate = new();
    private Thread? _prepared;
    private int _preparedId;
    private int _inside;
    private bool _sent;
    private bool _closed;

    public KvmKick(KvmDescriptor vcpu, KvmRunPages pages)
    {
        _vcpu = vcpu;
        _pages = pages;
        _run = pages.Run;
    }

    /// <summary>The current thread is about to run the guest.</summary>
    public void Enter()
    {
        if (!ReferenceEquals(_prepared, Thread.CurrentThread))
            Prepare();
        lock (_gate)
            _inside = _preparedId;
    }

    /// <summary>The current thread runs the guest no more: nobody sends it a signal from here on.</summary>
    public void Leave()
    {
        lock (_gate)
            _inside = 0;
        TakeSignals();
    }

    /// <summary>KVM_RUN was turned back; what asked for it has been noted elsewhere before.</summary>
    public void Acknowledge()
    {
        Volatile.Write(ref _run->ImmediateExit, 0);
        TakeSignals();
    }

    /// <summary>Turns the running thread back, or the next one that enters. What it is to find then has been noted before. Any thread.</summary>
    public void Send()
    {
        lock (_gate)
        {
            if (_closed)
                return;
            // TIMING POINT K1: the flag first, the signal then. A thread that passes the flag before it is set is inside when the signal comes, or has it pending.
            Volatile.Write(ref _run->ImmediateExit, 1);
            if (_inside != 0 && !_sent && _prepared != Thread.CurrentThread)
            {
                _sent = true;
                _ = Libc.tgkill(Environment.ProcessId, _inside, Signal);
            }
        }

        GC.KeepAlive(_pages);
    }

    /// <summary>The pages that the vCPU shares go away. A device that outlives its machine may still raise its line, from a timer or a backend.</summary>
    public void Close()
    {
        lock (_gate)
            _closed = true;
    }

    private void TakeSignals()
    {
        lock (_gate)
        {
            if (!_sent)
                return;
            _sent = false;
        }

        ulong* set = stackalloc ulong[16];
        long* now = stackalloc long[2];
        new Span<ulong>(set, 16).Clear();
        set[0] = SignalBit;
        now[0] = now[1] = 0;
        // SAFETY: both structures have the C library's sizes. A real-time signal may be queued more than once; each call takes one.
        while (Libc.sigtimedwait(set, null, now) == Signal)
        {
        }
    }

    private void Prepare()
    {
        ulong* block = stackalloc ulong[16];
        ulong* before = stackalloc ulong[16];
        new Span<ulong>(block, 16).Clear();
        block[0] = SignalBit;
        // SAFETY: the sets have the C library's size; only this thread's mask changes.
        int error = Libc.pthread_sigmask(Libc.SigBlock, block, before);
        if (error != 0)
            throw new VirtKitException($"The kick signal cannot be blocked: {Libc.Message(error)}.");
        // struct kvm_signal_mask: the length of the kernel's set, then the set.
        Span<byte> inside = stackalloc byte[12];
        BitConverter.TryWriteBytes(inside, 8);
        BitConverter.TryWriteBytes(inside[4..], before[0] & ~SignalBit);
        fixed (byte* pointer = inside)
            _vcpu.Call(KvmIoctl.SetSignalMask, (nint)pointer, "let the kick signal in");
        _preparedId = Libc.gettid();
        _prepared = Thread.CurrentThread;
    }
}
