using VirtKit.RiscV.Sbi;

namespace VirtKit.RiscV;

/// <summary>Hart state management, HSM (SBI §9).</summary>
internal sealed unsafe partial class Hart
{
    private const ulong StateStarted = 0, StateStopped = 1, StateSuspended = 4;

    private readonly Lock _startGate = new();

    public ulong HartStateStatus => !State.Started ? StateStopped : State.Waiting && _suspended ? StateSuspended : StateStarted;

    private bool _suspended;

    /// <summary>Starts this stopped hart in S-mode. Called on another hart's thread: what it writes is read after <see cref="RiscVState.Started"/>.</summary>
    public SbiResult Start(ulong address, ulong opaque)
    {
        lock (_startGate)
        {
            if (State.Started)
                return SbiError.AlreadyAvailable;
            if (System.Memory.Find(new Gpa(address)) is not { IsMemory: true })
                return SbiError.InvalidAddress;
            BeginSupervisor(address, opaque);
            Volatile.Write(ref State.Started, true);
        }

        RequestAttention();
        System.Events.Wake(Id);
        return SbiResult.Of(0);
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
        _suspended = wait;
        RequestAttention();
        return type == NonRetentive ? SbiResult.Kept : SbiResult.Of(0);
    }

    /// <summary>The register state that the SBI gives a hart that begins (table 9.2).</summary>
    private void BeginSupervisor(ulong address, ulong opaque)
    {
        State.Pc = address & ~1UL;
        State.Privilege = PrivilegeMode.Supervisor;
        State.Satp = 0;
        State.Mstatus &= ~Mstatus.Sie;
        State.X[10] = (ulong)Id;
        State.X[11] = opaque;
        State.Waiting = false;
        Mmu.Flush();
        StatusChanged();
    }
}
