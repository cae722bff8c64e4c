namespace VirtKit.RiscV;

/// <summary>What one hart asks of another: fences, on behalf of SBI RFENCE.</summary>
internal sealed unsafe partial class Hart
{
    private const int FenceTranslations = 1, FenceCode = 2;

    /// <summary>Whether remote fences wait for this hart. Any thread.</summary>
    public bool IsInGuest => Volatile.Read(ref _inGuest);

    /// <summary>Whether the host wants the engine's Run to come back. Any thread.</summary>
    public bool IsExitRequested => Volatile.Read(ref _exitRequested) != 0;

    /// <summary>Fences this hart for another one, and returns when it is done or certain to happen before this hart's next instruction. Any thread.</summary>
    /// <param name="requester">The hart whose thread this is; it serves its own requests meanwhile, so that two harts can fence each other.</param>
    /// <param name="code">Whether instruction fetch is meant rather than translation.</param>
    /// <returns>Whether the fence is complete; if not, the requester was asked to stop while it waited, and has to ask again.</returns>
    public bool FenceRemotely(Hart requester, RemoteFence code)
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
        System.Events.Wake(Id);
        // TIMING POINT 3: a hart enters the guest by setting _inGuest and reading _requests then; here _requests is set and _inGuest read then.
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

    /// <summary>The engine is about to run guest code: from here on remote fences wait for this hart.</summary>
    public void EnterGuest()
    {
        Volatile.Write(ref _inGuest, true);
        Interlocked.MemoryBarrier();
        ServeRequests();
    }

    /// <summary>The engine has stopped running guest code.</summary>
    public void LeaveGuest() => Volatile.Write(ref _inGuest, false);

    private void ServeRequests()
    {
        // Taken before they are served: what is asked for meanwhile has to be served once more, and this hart runs no instruction before both are.
        if (Volatile.Read(ref _requests) != 0)
            Serve(Interlocked.Exchange(ref _requests, 0));
    }

    private void Serve(int requests)
    {
        if ((requests & FenceTranslations) != 0)
            Mmu.Flush();
        if ((requests & FenceCode) != 0)
            Engine?.CodeBytesChanged();
    }
}

internal enum RemoteFence : byte
{
    Translations,
    Code,
}
