using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Privileged instructions (RV-Priv §3.3, §12.2): of the machine-level ISA, called Sm as in the profiles, and those that supervisor mode, S, adds.</summary>
internal static unsafe class Privileged
{
    public static InstructionGroup Machine => new("Sm", &AddMachine, 0x73);

    public static InstructionGroup Supervisor => new("S", &AddSupervisor, 0x73);

    private static void AddMachine(InstructionSet set)
    {
        set.Section("RV-Priv §3.3.2");
        set.Add(Encoding.OfWord("mret", 0x30200073), &Choose<Mret>);

        set.Section("RV-Priv §3.3.3");
        set.Add(Encoding.OfWord("wfi", 0x10500073), &Choose<Wfi>);
    }

    private static void AddSupervisor(InstructionSet set)
    {
        set.Section("RV-Priv §3.3.2");
        set.Add(Encoding.OfWord("sret", 0x10200073), &Choose<Sret>);

        set.Section("RV-Priv §12.2.1");
        set.Add(Encoding.OfSources("sfence.vma", 0x12000073), &Choose<SfenceVma>);
    }
}

/// <summary>Returns from a trap into M-mode.</summary>
internal readonly unsafe struct Mret : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.Mret, o);
}

/// <summary>Waits for an interrupt.</summary>
internal readonly unsafe struct Wfi : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.Wfi, o);
}

/// <summary>Returns from a trap into S-mode.</summary>
internal readonly unsafe struct Sret : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.Sret, o);
}

/// <summary>Orders page-table stores before later translations.</summary>
internal readonly unsafe struct SfenceVma : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.SfenceVma, o);
}
