using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Privileged instructions (RV-Priv §3.3, §12.2) and Zifencei (RV-Unpriv §6).</summary>
internal static unsafe class Privileged
{
    public static InstructionGroup Group => new(&AddTo, 0x0f, 0x73);

    public static InstructionGroup Invalidation => new(&AddInvalidation, 0x73);

    private static void AddTo(InstructionSet set)
    {
        set.Add(Ecall.Encoding, &InstructionSet.Choose<Ecall>);
        set.Add(Ebreak.Encoding, &InstructionSet.Choose<Ebreak>);
        set.Add(Mret.Encoding, &InstructionSet.Choose<Mret>);
        set.Add(Sret.Encoding, &InstructionSet.Choose<Sret>);
        set.Add(Wfi.Encoding, &InstructionSet.Choose<Wfi>);
        set.Add(FenceI.Encoding, &InstructionSet.Choose<FenceI>);
        set.Add(SfenceVma.Encoding, &InstructionSet.Choose<SfenceVma>);
    }

    /// <summary>Svinval.</summary>
    private static void AddInvalidation(InstructionSet set)
    {
        set.Add(SinvalVma.Encoding, &InstructionSet.Choose<SinvalVma>);
        set.Add(SfenceWInval.Encoding, &InstructionSet.Choose<SfenceWInval>);
        set.Add(SfenceInvalIr.Encoding, &InstructionSet.Choose<SfenceInvalIr>);
    }
}

/// <summary>Traps to the environment.</summary>
internal readonly struct Ecall : IInstruction
{
    public static Encoding Encoding => Encoding.OfWord("ecall", 0x00000073);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.Ecall, o);
}

/// <summary>Traps to the debugger.</summary>
internal readonly struct Ebreak : IInstruction
{
    public static Encoding Encoding => Encoding.OfWord("ebreak", 0x00100073);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.Ebreak, o);
}

/// <summary>Returns from a trap into M-mode.</summary>
internal readonly struct Mret : IInstruction
{
    public static Encoding Encoding => Encoding.OfWord("mret", 0x30200073);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.Mret, o);
}

/// <summary>Returns from a trap into S-mode.</summary>
internal readonly struct Sret : IInstruction
{
    public static Encoding Encoding => Encoding.OfWord("sret", 0x10200073);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.Sret, o);
}

/// <summary>Waits for an interrupt.</summary>
internal readonly struct Wfi : IInstruction
{
    public static Encoding Encoding => Encoding.OfWord("wfi", 0x10500073);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.Wfi, o);
}

/// <summary>Makes earlier stores visible to instruction fetch (Zifencei).</summary>
internal readonly struct FenceI : IInstruction
{
    public static Encoding Encoding => Encoding.Of("fence.i", InstructionFormat.None, 0x0f, 1, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.FenceI, o);
}

/// <summary>Orders page-table stores before later translations.</summary>
internal readonly struct SfenceVma : IInstruction
{
    public static Encoding Encoding => new("sfence.vma", 0xfe007fff, 0x12000073, InstructionFormat.Fence2, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.SfenceVma, o);
}

/// <summary>Svinval: as sfence.vma, without its ordering.</summary>
internal readonly struct SinvalVma : IInstruction
{
    public static Encoding Encoding => new("sinval.vma", 0xfe007fff, 0x16000073, InstructionFormat.Fence2, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.SfenceVma, o);
}

/// <summary>Svinval: begins an invalidation sequence.</summary>
internal readonly struct SfenceWInval : IInstruction
{
    public static Encoding Encoding => Encoding.OfWord("sfence.w.inval", 0x18000073);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.SfenceInval, o);
}

/// <summary>Svinval: ends an invalidation sequence.</summary>
internal readonly struct SfenceInvalIr : IInstruction
{
    public static Encoding Encoding => Encoding.OfWord("sfence.inval.ir", 0x18100073);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&PrivilegedInstructions.SfenceInval, o);
}
