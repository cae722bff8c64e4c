using VirtKit.X86;

namespace VirtKit.Samples.BootLinux;

/// <summary>Finishes an instruction that the engine left to the host, where that is a line of code: it shows that such an exit is resumed by state alone. Everything
/// else is for an interpreter of x86-64.</summary>
internal static class InstructionByHand
{
    private const byte Int3 = 0xcc, Fwait = 0x9b, BreakpointVector = 3;
    private const ulong MonitorCoprocessor = 2, TaskSwitched = 8;

    /// <summary>Carries out the instruction that a vCPU stands at.</summary>
    /// <returns>Its name, or <see langword="null"/> where it is another one and nothing has changed.</returns>
    public static string? TryFinish(Machine machine, Vcpu vcpu)
    {
        X64State state = vcpu.GetState<X64State>();
        if (!TryTranslate(machine.Memory, in state, state.Cs.Base + state.Registers.Rip, out Gpa at) || !machine.Memory.TryRead(at, out byte code))
            return null;
        switch (code)
        {
            case Int3:
                // A trap: the address that the handler finds is the next instruction's.
                state.Registers.Rip++;
                state.Events.ExceptionPending = true;
                state.Events.ExceptionVector = BreakpointVector;
                state.Events.ExceptionHasErrorCode = false;
                vcpu.SetState(in state);
                return "int3";
            case Fwait when (state.Cr0 & (MonitorCoprocessor | TaskSwitched)) != (MonitorCoprocessor | TaskSwitched) && (state.Xsave[2] & 0x80) == 0:
                // No unmasked x87 exception waits (FSW.ES), so there is nothing to wait for.
                state.Registers.Rip++;
                vcpu.SetState(in state);
                return "fwait";
            default:
                return null;
        }
    }

    /// <summary>Four-level paging (SDM 3A §4.5).</summary>
    private static bool TryTranslate(AddressSpace memory, in X64State state, ulong address, out Gpa translated)
    {
        const ulong present = 1, large = 0x80, frame = 0x000f_ffff_ffff_f000;
        ulong table = state.Cr3 & frame;
        translated = new Gpa(address);
        if (state.Cr0 >> 31 == 0)
            return true;
        for (int shift = 39; ; shift -= 9)
        {
            if (!memory.TryRead(new Gpa(table + (((address >> shift) & 511) * 8)), out ulong entry) || (entry & present) == 0)
                return false;
            if (shift == 12 || (shift < 39 && (entry & large) != 0))
            {
                ulong offset = (1ul << shift) - 1;
                translated = new Gpa((entry & frame & ~offset) | (address & offset));
                return true;
            }

            table = entry & frame;
        }
    }
}
