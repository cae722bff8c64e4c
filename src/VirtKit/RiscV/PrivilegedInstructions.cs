using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>The meanings of privileged instructions, as functions on the hart (RV-Priv §3.3, §12.2).</summary>
internal static class PrivilegedInstructions
{
    public static bool Ecall(Hart hart, in Operands o)
    {
        if (hart.System.User is not null)
        {
            hart.ExitWithCall();
            return true;
        }

        PrivilegeMode privilege = hart.State.Privilege;
        if (privilege == PrivilegeMode.Supervisor && hart.System.Sbi is { } sbi)
        {
            sbi.Call(hart);
            return true;
        }

        return hart.Trap(privilege switch
        {
            PrivilegeMode.User => TrapCause.EcallFromUser,
            PrivilegeMode.Supervisor => TrapCause.EcallFromSupervisor,
            _ => TrapCause.EcallFromMachine,
        }, 0);
    }

    public static bool Ebreak(Hart hart, in Operands o) => hart.Trap(TrapCause.Breakpoint, hart.Pc);

    public static bool Mret(Hart hart, in Operands o)
    {
        ref RiscVState state = ref hart.State;
        if (state.Privilege != PrivilegeMode.Machine)
            return hart.IllegalInstruction();
        ulong status = state.Mstatus;
        var previous = (PrivilegeMode)(status >> Mstatus.MppShift & 3);
        status = status & ~(Mstatus.Mie | Mstatus.Mpp) | ((status & Mstatus.Mpie) != 0 ? Mstatus.Mie : 0) | Mstatus.Mpie;
        if (previous != PrivilegeMode.Machine)
            status &= ~Mstatus.Mprv;
        state.Mstatus = status;
        return Return(hart, previous, state.Mepc);
    }

    public static bool Sret(Hart hart, in Operands o)
    {
        ref RiscVState state = ref hart.State;
        ulong status = state.Mstatus;
        if (state.Privilege == PrivilegeMode.User || (state.Privilege == PrivilegeMode.Supervisor && (status & Mstatus.Tsr) != 0))
            return hart.IllegalInstruction();
        PrivilegeMode previous = (status & Mstatus.Spp) != 0 ? PrivilegeMode.Supervisor : PrivilegeMode.User;
        state.Mstatus = status & ~(Mstatus.Sie | Mstatus.Spp | Mstatus.Mprv) | ((status & Mstatus.Spie) != 0 ? Mstatus.Sie : 0) | Mstatus.Spie;
        return Return(hart, previous, state.Sepc);
    }

    public static bool Wfi(Hart hart, in Operands o)
    {
        ref RiscVState state = ref hart.State;
        // In U-mode the bounded time that the standard allows before an illegal-instruction exception is none.
        if (state.Privilege == PrivilegeMode.User || (state.Privilege == PrivilegeMode.Supervisor && (state.Mstatus & Mstatus.Tw) != 0))
            return hart.IllegalInstruction();
        if ((hart.PendingInterrupts & state.Mie) == 0)
        {
            state.Waiting = true;
            hart.RequestAttention();
        }

        return true;
    }

    public static bool FenceI(Hart hart, in Operands o)
    {
        hart.Engine?.CodeBytesChanged();
        return true;
    }

    public static bool SfenceVma(Hart hart, in Operands o)
    {
        ref RiscVState state = ref hart.State;
        if (state.Privilege == PrivilegeMode.User || (state.Privilege == PrivilegeMode.Supervisor && (state.Mstatus & Mstatus.Tvm) != 0))
            return hart.IllegalInstruction();
        switch (o.Rs1, o.Rs2)
        {
            case (0, 0):
                hart.Mmu.Flush();
                break;
            case (_, 0):
                hart.Mmu.Flush(state.X[o.Rs1]);
                break;
            case (0, _):
                hart.Mmu.FlushAsid(state.X[o.Rs2]);
                break;
            default:
                hart.Mmu.FlushAsid(state.X[o.Rs1], state.X[o.Rs2]);
                break;
        }

        return true;
    }

    /// <summary>sinval.vma already did the work.</summary>
    public static bool SfenceInval(Hart hart, in Operands o) => hart.State.Privilege != PrivilegeMode.User || hart.IllegalInstruction();

    private static bool Return(Hart hart, PrivilegeMode privilege, ulong pc)
    {
        hart.State.Privilege = privilege;
        hart.NextPc = pc;
        hart.StatusChanged();
        hart.RequestAttention();
        return true;
    }
}
