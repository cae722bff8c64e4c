using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Cache-block operations, Zicbom and Zicboz (RV-Unpriv §19).</summary>
internal static unsafe class Zicbo
{
    public static InstructionGroup Management => new("Zicbom", &AddManagement, 0x0f);

    public static InstructionGroup Zero => new("Zicboz", &AddZero, 0x0f);

    private static void AddManagement(InstructionSet set)
    {
        set.Section("RV-Unpriv §19.6.1");
        set.Add(Encoding.OfAddress("cbo.inval", 0x0000200f), &Choose<CboInval>);
        set.Add(Encoding.OfAddress("cbo.clean", 0x0010200f), &Choose<CboClean>);
        set.Add(Encoding.OfAddress("cbo.flush", 0x0020200f), &Choose<CboFlush>);
    }

    private static void AddZero(InstructionSet set)
    {
        set.Section("RV-Unpriv §19.6.2");
        set.Add(Encoding.OfAddress("cbo.zero", 0x0040200f), &Choose<CboZero>);
    }
}

/// <summary>Invalidates a cache block; memory is coherent here, so it only checks.</summary>
internal readonly unsafe struct CboInval : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CacheBlockInstructions.CboInval, o);
}

/// <summary>Writes a cache block back; only checks.</summary>
internal readonly unsafe struct CboClean : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CacheBlockInstructions.CboClean, o);
}

/// <summary>Writes a cache block back and invalidates it; only checks.</summary>
internal readonly unsafe struct CboFlush : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CacheBlockInstructions.CboClean, o);
}

/// <summary>Zeroes a cache block of 64 bytes.</summary>
internal readonly unsafe struct CboZero : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CacheBlockInstructions.CboZero, o);
}
