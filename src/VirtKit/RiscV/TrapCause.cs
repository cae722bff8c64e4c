namespace VirtKit.RiscV;

/// <summary>Exception codes of mcause and scause (RV-Priv table 14).</summary>
internal enum TrapCause : ulong
{
    InstructionMisaligned = 0,
    InstructionAccessFault = 1,
    IllegalInstruction = 2,
    Breakpoint = 3,
    LoadMisaligned = 4,
    LoadAccessFault = 5,
    StoreMisaligned = 6,
    StoreAccessFault = 7,
    EcallFromUser = 8,
    EcallFromSupervisor = 9,
    EcallFromMachine = 11,
    InstructionPageFault = 12,
    LoadPageFault = 13,
    StorePageFault = 15,
}

/// <summary>Bits of mip and mie (RV-Priv §3.1.9); their numbers are also those of the hart's pins.</summary>
internal static class InterruptBit
{
    public const int SupervisorSoftware = 1, MachineSoftware = 3, SupervisorTimer = 5, MachineTimer = 7, SupervisorExternal = 9, MachineExternal = 11;

    public const ulong Ssip = 1 << SupervisorSoftware, Msip = 1 << MachineSoftware, Stip = 1 << SupervisorTimer, Mtip = 1 << MachineTimer,
        Seip = 1 << SupervisorExternal, Meip = 1 << MachineExternal;

    public const ulong Supervisor = Ssip | Stip | Seip;
    public const ulong All = Supervisor | Msip | Mtip | Meip;
}

/// <summary>Bits of mstatus (RV-Priv §3.1.6).</summary>
internal static class Mstatus
{
    public const ulong Sie = 1 << 1, Mie = 1 << 3, Spie = 1 << 5, Mpie = 1 << 7, Spp = 1 << 8, Mpp = 3 << 11, Fs = 3 << 13, Mprv = 1 << 17, Sum = 1 << 18, Mxr = 1 << 19,
        Tvm = 1 << 20, Tw = 1 << 21, Tsr = 1 << 22, Uxl = 3UL << 32, Sxl = 3UL << 34, Sd = 1UL << 63;

    public const int MppShift = 11;
    public const ulong FsInitial = 1 << 13, FsDirty = Fs;

    /// <summary>UXL and SXL, which are fixed to 64 bits.</summary>
    public const ulong Fixed = 2UL << 32 | 2UL << 34;

    public const ulong Writable = Sie | Mie | Spie | Mpie | Spp | Mpp | Fs | Mprv | Sum | Mxr | Tvm | Tw | Tsr;
    public const ulong SupervisorWritable = Sie | Spie | Spp | Fs | Sum | Mxr;
    public const ulong SupervisorVisible = SupervisorWritable | Uxl | Sd;
}

/// <summary>Bits of menvcfg and senvcfg (RV-Priv §3.1.18, §12.1.10).</summary>
internal static class EnvironmentConfiguration
{
    public const ulong Fiom = 1, Cbie = 3 << 4, Cbcfe = 1 << 6, Cbze = 1 << 7, Adue = 1UL << 61, Stce = 1UL << 63;
}
