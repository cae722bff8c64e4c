using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Instruction-fetch fence (RV-Unpriv §6).</summary>
internal static unsafe class Zifencei
{
    public static InstructionGroup Group => new("Zifencei", &AddTo, 0x0f);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §6");
        set.Add(Encoding.Of("fence.i", InstructionFormat.None, 0x0f, 1, InstructionForm.System), &Choose<FenceI>);
    }
}

/// <summary>Makes earlier stores visible to instruction fetch.</summary>
internal readonly unsafe struct FenceI : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.FenceI, o);
}
