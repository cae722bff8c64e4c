using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Cache-block operations, Zicbom and Zicboz (RV-Unpriv §19).</summary>
internal static unsafe class Zicbo
{
    public static InstructionGroup Management => new(&AddManagement, 0x0f);

    public static InstructionGroup Zero => new(&AddZero, 0x0f);

    private static void AddManagement(InstructionSet set)
    {
        set.Add(CboInval.Encoding, &InstructionSet.Choose<CboInval>);
        set.Add(CboClean.Encoding, &InstructionSet.Choose<CboClean>);
        set.Add(CboFlush.Encoding, &InstructionSet.Choose<CboFlush>);
    }

    private static void AddZero(InstructionSet set) => set.Add(CboZero.Encoding, &InstructionSet.Choose<CboZero>);
}

/// <summary>Zicbom: invalidates a cache block; memory is coherent here, so it only checks.</summary>
internal readonly struct CboInval : IInstruction
{
    public static Encoding Encoding => Encoding.OfAddress("cbo.inval", 0x0000200f);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CacheBlockInstructions.CboInval, o);
}

/// <summary>Zicbom: writes a cache block back; only checks.</summary>
internal readonly struct CboClean : IInstruction
{
    public static Encoding Encoding => Encoding.OfAddress("cbo.clean", 0x0010200f);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CacheBlockInstructions.CboClean, o);
}

/// <summary>Zicbom: writes a cache block back and invalidates it; only checks.</summary>
internal readonly struct CboFlush : IInstruction
{
    public static Encoding Encoding => Encoding.OfAddress("cbo.flush", 0x0020200f);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CacheBlockInstructions.CboClean, o);
}

/// <summary>Zicboz: zeroes a cache block of 64 bytes.</summary>
internal readonly struct CboZero : IInstruction
{
    public static Encoding Encoding => Encoding.OfAddress("cbo.zero", 0x0040200f);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CacheBlockInstructions.CboZero, o);
}
