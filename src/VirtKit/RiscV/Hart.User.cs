using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>A hart whose only mode is user mode: a program without a supervisor, whose environment calls and exceptions leave the engine for the host.</summary>
internal sealed unsafe partial class Hart
{
    /// <summary>In user mode at address 0, with the floating-point unit, the counters and the cache-block instructions that a supervisor would have granted.</summary>
    private static RiscVState UserState => new()
    {
        Privilege = PrivilegeMode.User, Mstatus = Mstatus.Fixed | Mstatus.FsDirty, Started = true, Reservation = ulong.MaxValue, Stimecmp = ulong.MaxValue,
        Mcounteren = 7, Scounteren = 7, Menvcfg = UserCacheBlocks, Senvcfg = UserCacheBlocks,
    };

    private const ulong UserCacheBlocks = EnvironmentConfiguration.Cbcfe | EnvironmentConfiguration.Cbze | 1 << 4;

    /// <summary>The registers of a program. The CPU does not run.</summary>
    public RiscVUserRegisters UserRegisters
    {
        get => new() { X = State.X, F = State.F, Pc = Pc, Fcsr = State.Fcsr };
        set
        {
            State.X = value.X;
            State.F = value.F;
            State.X[0] = 0;
            State.Fcsr = value.Fcsr;
            State.Reservation = ulong.MaxValue;
            Pc = value.Pc;
            TakeExit();
            StatusChanged();
        }
    }

    /// <summary>Whether floating-point registers are in use, so that engines keep them at hand; one that is used anyway sets it.</summary>
    public bool UsesFloat
    {
        get => Context->FloatReady != 0;
        set
        {
            State.Mstatus = value ? State.Mstatus | Mstatus.FsDirty : State.Mstatus & ~Mstatus.Fs | Mstatus.FsInitial;
            Context->FloatReady = value ? 1 : 0;
        }
    }

    /// <summary>The counters that the program reads begin anew.</summary>
    public void RestartCounters()
    {
        WriteCounter(CycleInhibit, ref State.Mcycle, 0, afterThis: 0);
        WriteCounter(InstretInhibit, ref State.Minstret, 0, afterThis: 0);
    }

    /// <summary>The ECALL under way leaves the engine, behind the instruction.</summary>
    public void ExitWithCall() => ExitBehindInstruction(new VcpuExit(ExitReason.Hypercall, State.X[17]));

    /// <summary>An exception leaves the engine, at the instruction, which has not retired.</summary>
    private void ExitWithTrap(ulong cause, ulong value) =>
        ExitBehindInstruction(new VcpuExit(ExitReason.Fault, cause) { FirstTrap = new GuestTrap(cause, new Gva(Pc), value, TrapName.Of(cause)) });
}

/// <summary>The registers that a program in user mode has.</summary>
internal struct RiscVUserRegisters
{
    public RiscVState.RegisterFile X, F;
    public ulong Pc, Fcsr;
}
