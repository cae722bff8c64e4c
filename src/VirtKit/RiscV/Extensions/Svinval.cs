using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Fine-grained invalidation of address-translation caches (RV-Priv §15).</summary>
internal static unsafe class Svinval
{
    public static InstructionGroup Group => new("Svinval", &AddTo, 0x73);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Priv §15");
        set.Add(Encoding.OfSources("sinval.vma", 0x16000073), &Choose<SinvalVma>);
        set.Add(Encoding.OfWord("sfence.w.inval", 0x18000073), &Choose<SfenceWInval>);
        set.Add(Encoding.OfWord("sfence.inval.ir", 0x18100073), &Choose<SfenceInvalIr>);
    }
}

/// <summary>As sfence.vma, without its ordering.</summary>
internal readonly unsafe struct SinvalVma : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.SfenceVma, o);
}

/// <summary>Begins an invalidation sequence.</summary>
internal readonly unsafe struct SfenceWInval : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.SfenceInval, o);
}

/// <summary>Ends an invalidation sequence.</summary>
internal readonly unsafe struct SfenceInvalIr : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.SfenceInval, o);
}
