using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>Zicbom and Zicboz (RV-Unpriv §19): guest memory is coherent, so what is left of cache management is who may do it.</summary>
internal static class CacheBlockInstructions
{
    public static bool CboInval(Hart hart, in Operands o) =>
        Enabled(hart, EnvironmentConfiguration.Cbie) && hart.CheckBlock(hart.State.X[o.Rs1]);

    public static bool CboClean(Hart hart, in Operands o) =>
        Enabled(hart, EnvironmentConfiguration.Cbcfe) && hart.CheckBlock(hart.State.X[o.Rs1]);

    public static bool CboZero(Hart hart, in Operands o) =>
        Enabled(hart, EnvironmentConfiguration.Cbze) && hart.ZeroBlock(hart.State.X[o.Rs1]);

    private static bool Enabled(Hart hart, ulong bits)
    {
        ref RiscVState state = ref hart.State;
        bool allowed = (state.Privilege == PrivilegeMode.Machine || (state.Menvcfg & bits) != 0)
            && (state.Privilege != PrivilegeMode.User || (state.Senvcfg & bits) != 0);
        return allowed || hart.IllegalInstruction();
    }
}
