namespace VirtKit.RiscV;

/// <summary>The values that registers hold: what a write leaves of the bits that software gives (RV-Priv §2.3, WARL). A guest's CSR write and a host's
/// <see cref="Hart.SetState"/> follow the same rules.</summary>
internal static class Warl
{
    private const ulong CounterBits = 7, InhibitBits = 5, DelegableExceptions = 0xb3ff, ProtectedAddressBits = (1UL << 54) - 1;

    /// <summary>pc, mepc and sepc: with C, instructions are aligned to 2 bytes.</summary>
    public static ulong Address(ulong value) => value & ~1UL;

    /// <summary>mtvec and stvec: modes 2 and 3 are reserved.</summary>
    public static ulong TrapVector(ulong value) => value & ~2UL;

    public static ulong Fcsr(ulong value) => value & 0xff;

    /// <summary>mstatus, or sstatus by what it may write. MPP = 2 is reserved: the field then keeps its value.</summary>
    public static ulong Status(ulong old, ulong value, ulong writable)
    {
        ulong status = old & ~writable | value & writable;
        return (status >> Mstatus.MppShift & 3) == 2 ? status & ~Mstatus.Mpp | old & Mstatus.Mpp : status;
    }

    public static ulong ExceptionDelegation(ulong value) => value & DelegableExceptions;

    public static ulong InterruptDelegation(ulong value) => value & InterruptBit.Supervisor;

    public static ulong InterruptEnable(ulong value) => value & InterruptBit.All;

    /// <summary>What software may set of mip: with Sstc, STIP is the comparison's alone (RV-Priv §3.1.9).</summary>
    public static ulong PendingWritable(ulong menvcfg) =>
        (menvcfg & EnvironmentConfiguration.Stce) != 0 ? InterruptBit.Ssip | InterruptBit.Seip : InterruptBit.Supervisor;

    /// <summary>mcounteren and scounteren.</summary>
    public static ulong CounterEnable(ulong value) => value & CounterBits;

    public static ulong CounterInhibit(ulong value) => value & InhibitBits;

    public static ulong Menvcfg(InstructionSet set, ulong old, ulong value) => LegalCbie(old, value)
        & (EnvironmentBits(set) | EnvironmentConfiguration.Adue | (set.Extensions.Contains("sstc") ? EnvironmentConfiguration.Stce : 0));

    public static ulong Senvcfg(InstructionSet set, ulong old, ulong value) => LegalCbie(old, value) & EnvironmentBits(set);

    /// <summary>A mode that is not implemented leaves the whole register as it was (RV-Priv §12.1.11).</summary>
    public static ulong Satp(ulong old, ulong value) => (int)(value >> 60) is Mmu.Bare or Mmu.Sv39 or Mmu.Sv48 or Mmu.Sv57 ? value : old;

    public static ulong ProtectedAddress(ulong value) => value & ProtectedAddressBits;

    private static ulong EnvironmentBits(InstructionSet set) => EnvironmentConfiguration.Fiom
        | (set.Extensions.Contains("zicbom") ? EnvironmentConfiguration.Cbie | EnvironmentConfiguration.Cbcfe : 0)
        | (set.Extensions.Contains("zicboz") ? EnvironmentConfiguration.Cbze : 0);

    /// <summary>CBIE = 2 is reserved: the field then keeps its value.</summary>
    private static ulong LegalCbie(ulong old, ulong value) => (value & EnvironmentConfiguration.Cbie) == 2UL << 4
        ? (value & ~EnvironmentConfiguration.Cbie) | (old & EnvironmentConfiguration.Cbie)
        : value;
}
