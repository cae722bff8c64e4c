using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>CSR instructions (RV-Unpriv §7). What a CSR is stands in its row of <see cref="CsrFile"/>.</summary>
internal static unsafe class Zicsr
{
    public static InstructionGroup Group => new(&AddTo, 0x73);

    private static void AddTo(InstructionSet set)
    {
        set.Add(Csrrw.Encoding, &InstructionSet.Choose<Csrrw>);
        set.Add(Csrrs.Encoding, &InstructionSet.Choose<Csrrs>);
        set.Add(Csrrc.Encoding, &InstructionSet.Choose<Csrrc>);
        set.Add(Csrrwi.Encoding, &InstructionSet.Choose<Csrrwi>);
        set.Add(Csrrsi.Encoding, &InstructionSet.Choose<Csrrsi>);
        set.Add(Csrrci.Encoding, &InstructionSet.Choose<Csrrci>);
    }
}

/// <summary>rd = CSR; then Write with rs1.</summary>
internal readonly struct Csrrw : IInstruction
{
    public static Encoding Encoding => Encoding.Of("csrrw", InstructionFormat.Csr, 0x73, 1, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CsrInstructions.Write, o);
}

/// <summary>rd = CSR; then SetBits with rs1.</summary>
internal readonly struct Csrrs : IInstruction
{
    public static Encoding Encoding => Encoding.Of("csrrs", InstructionFormat.Csr, 0x73, 2, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CsrInstructions.SetBits, o);
}

/// <summary>rd = CSR; then ClearBits with rs1.</summary>
internal readonly struct Csrrc : IInstruction
{
    public static Encoding Encoding => Encoding.Of("csrrc", InstructionFormat.Csr, 0x73, 3, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CsrInstructions.ClearBits, o);
}

/// <summary>rd = CSR; then WriteImmediate with uimm.</summary>
internal readonly struct Csrrwi : IInstruction
{
    public static Encoding Encoding => Encoding.Of("csrrwi", InstructionFormat.CsrImmediate, 0x73, 5, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CsrInstructions.WriteImmediate, o);
}

/// <summary>rd = CSR; then SetBitsImmediate with uimm.</summary>
internal readonly struct Csrrsi : IInstruction
{
    public static Encoding Encoding => Encoding.Of("csrrsi", InstructionFormat.CsrImmediate, 0x73, 6, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CsrInstructions.SetBitsImmediate, o);
}

/// <summary>rd = CSR; then ClearBitsImmediate with uimm.</summary>
internal readonly struct Csrrci : IInstruction
{
    public static Encoding Encoding => Encoding.Of("csrrci", InstructionFormat.CsrImmediate, 0x73, 7, InstructionForm.System);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Call<Hart>(&CsrInstructions.ClearBitsImmediate, o);
}
