namespace VirtKit.Execution;

/// <summary>Requests of one CPU to another: remote fences, and to flush the translations of stores.</summary>
internal abstract unsafe partial class GuestCpu
{
    private const int FenceTranslations = 1, FenceCode = 2, ForgetStores = 4;

    private int _requests;
    private bool _inGuest;
    private VcpuExit? _exit;

    /// <summary>The number of the last watched page when the translations of stores were dropped last.</summary>
    private long _storesDropped;

    /// <summary>Whether another CPU waits for something. Any thread.</summary>
    protected bool HasRequests => Volatile.Read(ref _requests) != 0;

    /// <summary>Whether remote fences wait for this CPU. Any thread.</summary>
    public bool IsInGuest => Volatile.Read(ref _inGuest);

    /// <summary>Fences this CPU for another one, and returns when it is done or certain to happen before this CPU's next instruction. Any thread.</summary>
    /// <param name="requester">The CPU whose thread this is; it serves its own requests meanwhile, so that two can fence each other.</param>
    /// <param name="code">Whether instruction fetch is meant rather than translation.</param>
    /// <returns>Whether the fence is complete; if not, the requester was asked to stop while it waited, and has to ask again.</returns>
    public bool FenceRemotely(GuestCpu requester, RemoteFence code)
    {
        int request = code == RemoteFence.Code ? FenceCode : FenceTranslations;
        if (ReferenceEquals(this, requester))
        {
            Serve(request);
            return true;
        }

        WaitRules.Check(requester.Engine is not { HoldsLock: true }, "who fences holds no lock");
        Interlocked.Or(ref _requests, request);
        RequestAttention();
        _system.Events.Wake(Id);
        // TIMING POINT 3: a CPU enters the guest by setting _inGuest and reading _requests then; here _requests is set and _inGuest read then.
        Interlocked.MemoryBarrier();
        SpinWait wait = default;
        while (IsInGuest && (Volatile.Read(ref _requests) & request) != 0)
        {
            if (requester.IsExitRequested)
                return false;
            requester.ServeRequests();
            wait.SpinOnce(sleep1Threshold: -1);
        }

        return true;
    }

    /// <summary>As an instruction fence that nobody waits for: done before this CPU runs on. Any thread.</summary>
    public void RequestCodeFence()
    {
        Interlocked.Or(ref _requests, FenceCode);
        RequestAttention();
    }

    /// <summary>Drops the translations of stores, because a page is watched from now on. Any thread.</summary>
    /// <param name="requester">The CPU whose thread this is.</param>
    public void DropStores(GuestCpu requester)
    {
        if (ReferenceEquals(this, requester))
        {
            Serve(ForgetStores);
            return;
        }

        Interlocked.Or(ref _requests, ForgetStores);
        RequestAttention();
    }

    /// <summary>Whether this CPU may still have a translation for stores from before a page was watched. Any thread.</summary>
    /// <param name="requester">The CPU whose thread this is.</param>
    /// <param name="watched">The page's number.</param>
    public bool CanStoreUnseen(GuestCpu requester, long watched)
    {
        // TIMING POINT 3: as in FenceRemotely.
        Interlocked.MemoryBarrier();
        return !ReferenceEquals(this, requester) && IsInGuest && Volatile.Read(ref _storesDropped) < watched;
    }

    /// <summary>The engine is about to run guest code: from here on remote fences wait for this CPU.</summary>
    public void EnterGuest()
    {
        Volatile.Write(ref _inGuest, true);
        Interlocked.MemoryBarrier();
        ServeRequests();
    }

    /// <summary>The engine has stopped running guest code.</summary>
    public void LeaveGuest() => Volatile.Write(ref _inGuest, false);

    /// <summary>The instruction under way asks the host something: the run comes back with this exit behind it.</summary>
    public void ExitBehindInstruction(VcpuExit exit)
    {
        _exit = exit;
        RequestAttention();
    }

    /// <summary>The exit that an instruction has asked for, once.</summary>
    public VcpuExit? TakeExit()
    {
        if (_exit is null)
            return null;
        VcpuExit? exit = _exit;
        _exit = null;
        return exit;
    }

    /// <summary>A run of the engine comes back to the host.</summary>
    public void EndRun()
    {
        LeaveGuest();
        Exits++;
    }

    private void ServeRequests()
    {
        // Taken before they are served: what is asked for meanwhile has to be served once more, and this CPU runs no instruction before both are.
        if (Volatile.Read(ref _requests) != 0)
            Serve(Interlocked.Exchange(ref _requests, 0));
    }

    private void Serve(int requests)
    {
        if ((requests & FenceTranslations) != 0)
            FlushTranslations();
        if ((requests & FenceCode) != 0)
            Engine?.CodeBytesChanged();
        if ((requests & ForgetStores) != 0)
        {
            long last = _system.Watched!.Last;
            ForgetStoreTranslations();
            Engine?.DataMappingChanged();
            Volatile.Write(ref _storesDropped, last);
        }
    }
}

internal enum RemoteFence : byte
{
    Translations,
    Code,
}
