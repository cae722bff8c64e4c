using VirtKit.RiscV.Sbi;

namespace VirtKit.RiscV;

/// <summary>Hart state management, HSM (SBI §9).</summary>
internal sealed unsafe partial class Hart
{
    private const ulong StateStarted = 0, StateStopped = 1, StateStartPending = 2, StateSuspended = 4;

    private readonly Lock _startGate = new();
    private StartRequest? _startRequest;

    /// <summary>What hart_get_status answers. Any thread.</summary>
    public ulong HartStateStatus
    {
        get
        {
            if (!Volatile.Read(ref State.Started))
                return IsStartPending ? StateStartPending : StateStopped;
            return State.Waiting && State.Suspended ? StateSuspended : StateStarted;
        }
    }

    private bool IsStartPending => Volatile.Read(ref _startRequest) is not null;

    /// <summary>Asks this stopped hart to start in S-mode. Called on another hart's thread, so the hart itself does it when it looks around next: it may still be on
    /// its way out of the guest.</summary>
    public SbiResult Start(ulong address, ulong opaque)
    {
        lock (_startGate)
        {
            if (State.Started || IsStartPending)
                return SbiError.AlreadyAvailable;
            if (System.Memory.Find(new Gpa(address)) is not { IsMemory: true })
                return SbiError.InvalidAddress;
            Volatile.Write(ref _startRequest, new StartRequest(address, opaque));
        }

        RequestAttention();
        System.Events.Wake(Id);
        return SbiResult.Of(0);
    }

    /// <summary>Starts, where that was asked for. On the hart's own thread, or while it does not run.</summary>
    private void ServeStart()
    {
        if (!IsStartPending)
            return;
        lock (_startGate)
        {
            if (_startRequest is not { } request)
                return;
            BeginSupervisor(request.Address, request.Opaque);
            Volatile.Write(ref State.Started, true);
            Volatile.Write(ref _startRequest, null);
        }
    }

    public void Stop()
    {
        lock (_startGate)
            Volatile.Write(ref State.Started, false);
        RequestAttention();
    }

    /// <summary>A retentive suspend is a WFI; a non-retentive one begins anew at an address when it is over.</summary>
    public SbiResult Suspend(uint type, ulong address, ulong opaque)
    {
        const uint Retentive = 0, NonRetentive = 0x80000000;
        if (type is not (Retentive or NonRetentive))
            return type is > 0 and < 0x10000000 or > 0x80000000 and < 0x90000000 ? SbiError.InvalidParameter : SbiError.NotSupported;
        bool wait = (PendingInterrupts & State.Mie) == 0;
        if (type == NonRetentive)
        {
            if (System.Memory.Find(new Gpa(address)) is not { IsMemory: true })
                return SbiError.InvalidAddress;
            BeginSupervisor(address, opaque);
            NextPc = address;
        }

        State.Waiting = wait;
        State.Suspended = wait;
        RequestAttention();
        return type == NonRetentive ? SbiResult.Kept : SbiResult.Of(0);
    }

    /// <summary>Ends a wait or suspension.</summary>
    private void Wake()
    {
        State.Waiting = false;
        State.Suspended = false;
    }

    /// <summary>The register state that the SBI gives a hart that begins (table 9.2).</summary>
    private void BeginSupervisor(ulong address, ulong opaque)
    {
        Pc = address & ~1UL;
        State.Privilege = PrivilegeMode.Supervisor;
        State.Satp = 0;
        State.Mstatus &= ~Mstatus.Sie;
        State.X[10] = (ulong)Id;
        State.X[11] = opaque;
        Wake();
        Mmu.Restart();
        StatusChanged();
    }

    private sealed record StartRequest(ulong Address, ulong Opaque);
}
