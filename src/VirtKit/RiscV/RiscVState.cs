using System.Runtime.CompilerServices;

namespace VirtKit.RiscV;

/// <summary>The architectural state of one RISC-V hart: what a snapshot holds and what every engine speaks. Names are the specification's.</summary>
/// <remarks>CSRs that are views of another (sstatus, sie, sip, fflags, frm) and counters that only count stand in what they are views of.</remarks>
public struct RiscVState
{
    /// <summary>The integer registers; x[0] is zero whatever is written.</summary>
    public RegisterFile X;

    /// <summary>The floating-point registers as bits; a single is NaN-boxed.</summary>
    public RegisterFile F;

    /// <summary>The program counter.</summary>
    public ulong Pc;

    /// <summary>The privilege mode.</summary>
    public PrivilegeMode Privilege;

    /// <summary>Whether the hart runs; a stopped hart waits for another one to start it (SBI HSM).</summary>
    public bool Started;

    /// <summary>Whether the hart waits in WFI.</summary>
    public bool Waiting;

    /// <summary>Whether the wait is a suspension (SBI HSM §9.4).</summary>
    public bool Suspended;

    /// <summary>Floating-point control and status (RV-Unpriv §20.2).</summary>
    public ulong Fcsr;

    /// <summary>Machine status (RV-Priv §3.1.6).</summary>
    public ulong Mstatus;

    /// <summary>Machine trap vector.</summary>
    public ulong Mtvec;

    /// <summary>Machine exception delegation.</summary>
    public ulong Medeleg;

    /// <summary>Machine interrupt delegation.</summary>
    public ulong Mideleg;

    /// <summary>Machine interrupt pending: the bits that software set. The levels of the pins are not state of the hart.</summary>
    public ulong Mip;

    /// <summary>Machine interrupt enable.</summary>
    public ulong Mie;

    /// <summary>Machine counter enable.</summary>
    public ulong Mcounteren;

    /// <summary>Machine counter inhibit.</summary>
    public ulong Mcountinhibit;

    /// <summary>Machine environment configuration.</summary>
    public ulong Menvcfg;

    /// <summary>Machine scratch.</summary>
    public ulong Mscratch;

    /// <summary>Machine exception program counter.</summary>
    public ulong Mepc;

    /// <summary>Machine cause.</summary>
    public ulong Mcause;

    /// <summary>Machine trap value.</summary>
    public ulong Mtval;

    /// <summary>Cycle counter: retired instructions plus what software wrote into it.</summary>
    public ulong Mcycle;

    /// <summary>Instructions-retired counter.</summary>
    public ulong Minstret;

    /// <summary>Supervisor trap vector.</summary>
    public ulong Stvec;

    /// <summary>Supervisor counter enable.</summary>
    public ulong Scounteren;

    /// <summary>Supervisor environment configuration.</summary>
    public ulong Senvcfg;

    /// <summary>Supervisor scratch.</summary>
    public ulong Sscratch;

    /// <summary>Supervisor exception program counter.</summary>
    public ulong Sepc;

    /// <summary>Supervisor cause.</summary>
    public ulong Scause;

    /// <summary>Supervisor trap value.</summary>
    public ulong Stval;

    /// <summary>Supervisor address translation and protection (RV-Priv §12.1.11).</summary>
    public ulong Satp;

    /// <summary>Supervisor timer compare (Sstc), in timebase ticks.</summary>
    public ulong Stimecmp;

    /// <summary>The 16 physical memory protection addresses, as in the CSRs: bits 55:2 of the address.</summary>
    public PmpAddresses PmpAddress;

    /// <summary>The 16 physical memory protection configurations, a byte each.</summary>
    public PmpConfigurations PmpConfiguration;

    /// <summary>The physical address that the last LR reserved, or <see cref="ulong.MaxValue"/>.</summary>
    public ulong Reservation;

    /// <summary>The bytes that the last LR saw, zero-extended: an SC succeeds while they are still there.</summary>
    public ulong ReservedValue;

    /// <summary>Thirty-two 64-bit registers.</summary>
    [InlineArray(32)]
    public struct RegisterFile
    {
        private ulong _first;
    }

    /// <summary>Sixteen 64-bit PMP address registers.</summary>
    [InlineArray(16)]
    public struct PmpAddresses
    {
        private ulong _first;
    }

    /// <summary>Sixteen PMP configuration bytes.</summary>
    [InlineArray(16)]
    public struct PmpConfigurations
    {
        private byte _first;
    }
}

/// <summary>A RISC-V privilege mode; the values are the specification's encoding (RV-Priv §1.2).</summary>
public enum PrivilegeMode : byte
{
    /// <summary>User mode.</summary>
    User = 0,

    /// <summary>Supervisor mode.</summary>
    Supervisor = 1,

    /// <summary>Machine mode.</summary>
    Machine = 3,
}
