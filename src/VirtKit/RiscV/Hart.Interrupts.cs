namespace VirtKit.RiscV;

/// <summary>Traps and interrupts (RV-Priv §3.1.6-3.1.9, §3.3, §12.1).</summary>
internal sealed unsafe partial class Hart
{
    /// <summary>The standard's order: external before software before timer, machine before supervisor.</summary>
    private static ReadOnlySpan<byte> InterruptPriority =>
    [
        InterruptBit.MachineExternal, InterruptBit.MachineSoftware, InterruptBit.MachineTimer,
        InterruptBit.SupervisorExternal, InterruptBit.SupervisorSoftware, InterruptBit.SupervisorTimer,
    ];

    /// <summary>mip: the levels of the pins, and what software set. Any thread may read it.</summary>
    public ulong PendingInterrupts => Pins | State.Mip;

    /// <summary>Whether there is such a bit in mip that a device may drive.</summary>
    public override bool HasPin(int pin) => (uint)pin < 64 && (1UL << pin & InterruptBit.All) != 0;

    /// <summary>The bits of mip that software set. SSIP stands among the pins, for other harts set it too. Written on this hart's thread or while it does not run.</summary>
    public ulong SoftwarePending
    {
        get => State.Mip | Pins & InterruptBit.Ssip;
        set
        {
            State.Mip = value & (InterruptBit.Stip | InterruptBit.Seip);
            SetPin(InterruptBit.SupervisorSoftware, (value & InterruptBit.Ssip) != 0);
            RequestAttention();
        }
    }

    /// <summary>Takes the interrupt of the highest priority that is pending and enabled, if there is one.</summary>
    public void TakeInterrupt()
    {
        ulong pending = PendingInterrupts & State.Mie;
        if (pending == 0)
            return;
        bool machineEnabled = State.Privilege != PrivilegeMode.Machine || (State.Mstatus & Mstatus.Mie) != 0;
        bool supervisorEnabled = State.Privilege == PrivilegeMode.User || (State.Privilege == PrivilegeMode.Supervisor && (State.Mstatus & Mstatus.Sie) != 0);
        ulong enabled = (machineEnabled ? pending & ~State.Mideleg : 0);
        if (enabled == 0 && supervisorEnabled)
            enabled = pending & State.Mideleg;
        if (enabled == 0)
            return;
        foreach (byte number in InterruptPriority)
        {
            if ((enabled >> number & 1) != 0)
            {
                EnterHandler(number, isInterrupt: true, 0);
                return;
            }
        }
    }

    private void EnterHandler(ulong cause, bool isInterrupt, ulong value)
    {
        Traps++;
        if (System.User is not null)
        {
            ExitWithTrap(cause, value);
            return;
        }

        Wake();
        ref RiscVState state = ref State;
        ulong delegated = isInterrupt ? state.Mideleg : state.Medeleg;
        ulong causeRegister = cause | (isInterrupt ? 1UL << 63 : 0);
        NoteTrap(causeRegister, value);
        ulong status = state.Mstatus;
        if (state.Privilege != PrivilegeMode.Machine && (delegated >> (int)cause & 1) != 0)
        {
            state.Scause = causeRegister;
            state.Sepc = Pc;
            state.Stval = value;
            status = status & ~(Mstatus.Spie | Mstatus.Spp | Mstatus.Sie)
                | ((status & Mstatus.Sie) != 0 ? Mstatus.Spie : 0)
                | (state.Privilege == PrivilegeMode.Supervisor ? Mstatus.Spp : 0);
            state.Privilege = PrivilegeMode.Supervisor;
            Pc = Vector(state.Stvec, cause, isInterrupt);
        }
        else
        {
            state.Mcause = causeRegister;
            state.Mepc = Pc;
            state.Mtval = value;
            status = status & ~(Mstatus.Mpie | Mstatus.Mpp | Mstatus.Mie)
                | ((status & Mstatus.Mie) != 0 ? Mstatus.Mpie : 0)
                | (ulong)state.Privilege << Mstatus.MppShift;
            state.Privilege = PrivilegeMode.Machine;
            Pc = Vector(state.Mtvec, cause, isInterrupt);
        }

        state.Mstatus = status;
        StatusChanged();
    }

    private static ulong Vector(ulong register, ulong cause, bool isInterrupt) =>
        (register & ~3UL) + (isInterrupt && (register & 3) == 1 ? cause * 4 : 0);

    /// <summary>The level of the timer pin follows time and stimecmp while menvcfg.STCE is set (Sstc), or where the SBI's timer stands in the same register. Called when one of
    /// them has changed, on this hart's thread, the clock's, or that of a hart which has set the time.</summary>
    public void UpdateStimecmp()
    {
        // TIMING POINT 4: register and time are written before this lock is taken and read inside it, so that the last one who enters sees both as they stand.
        lock (this)
        {
            bool compares = System.Sbi is not null || (System.HasStimecmp && (State.Menvcfg & EnvironmentConfiguration.Stce) != 0);
            ulong compare = Volatile.Read(ref State.Stimecmp);
            ulong next = ulong.MaxValue;
            SetPin(InterruptBit.SupervisorTimer, compares && System.Timebase.IsReached(compare, out next));
            if (next == ulong.MaxValue)
                _stimecmpTimer.Cancel();
            else
                _stimecmpTimer.Set(next);
        }
    }
}
