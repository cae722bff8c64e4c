using System.Globalization;

namespace VirtKit.RiscV;

/// <summary>The names of mcause's values (RV-Priv table 14).</summary>
internal static class TrapName
{
    public static string Of(ulong cause)
    {
        ulong number = cause & ~(1UL << 63);
        return cause == number ? OfException((TrapCause)number) : OfInterrupt(number);
    }

    private static string OfException(TrapCause cause) => cause switch
    {
        TrapCause.InstructionMisaligned => "instruction address misaligned",
        TrapCause.InstructionAccessFault => "instruction access fault",
        TrapCause.IllegalInstruction => "illegal instruction",
        TrapCause.Breakpoint => "breakpoint",
        TrapCause.LoadMisaligned => "load address misaligned",
        TrapCause.LoadAccessFault => "load access fault",
        TrapCause.StoreMisaligned => "store or AMO address misaligned",
        TrapCause.StoreAccessFault => "store or AMO access fault",
        TrapCause.EcallFromUser => "environment call from U-mode",
        TrapCause.EcallFromSupervisor => "environment call from S-mode",
        TrapCause.EcallFromMachine => "environment call from M-mode",
        TrapCause.InstructionPageFault => "instruction page fault",
        TrapCause.LoadPageFault => "load page fault",
        TrapCause.StorePageFault => "store or AMO page fault",
        _ => string.Create(CultureInfo.InvariantCulture, $"exception {(ulong)cause}"),
    };

    private static string OfInterrupt(ulong number) => number switch
    {
        InterruptBit.SupervisorSoftware => "supervisor software interrupt",
        InterruptBit.MachineSoftware => "machine software interrupt",
        InterruptBit.SupervisorTimer => "supervisor timer interrupt",
        InterruptBit.MachineTimer => "machine timer interrupt",
        InterruptBit.SupervisorExternal => "supervisor external interrupt",
        InterruptBit.MachineExternal => "machine external interrupt",
        _ => string.Create(CultureInfo.InvariantCulture, $"interrupt {number}"),
    };
}
