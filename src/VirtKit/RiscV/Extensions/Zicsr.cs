using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>CSR instructions (RV-Unpriv §7). What a CSR is stands in its row of <see cref="CsrFile"/>.</summary>
internal static unsafe class Zicsr
{
    public static InstructionGroup Group => new("Zicsr", &AddTo, 0x73);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §7.1");
        set.Add(Encoding.Of("csrrw", InstructionFormat.Csr, 0x73, 1, InstructionForm.System), &Choose<Csrrw>);
        set.Add(Encoding.Of("csrrs", InstructionFormat.Csr, 0x73, 2, InstructionForm.System), &Choose<Csrrs>);
        set.Add(Encoding.Of("csrrc", InstructionFormat.Csr, 0x73, 3, InstructionForm.System), &Choose<Csrrc>);
        set.Add(Encoding.Of("csrrwi", InstructionFormat.CsrImmediate, 0x73, 5, InstructionForm.System), &Choose<Csrrwi>);
        set.Add(Encoding.Of("csrrsi", InstructionFormat.CsrImmediate, 0x73, 6, InstructionForm.System), &Choose<Csrrsi>);
        set.Add(Encoding.Of("csrrci", InstructionFormat.CsrImmediate, 0x73, 7, InstructionForm.System), &Choose<Csrrci>);
    }
}

/// <summary>rd = CSR; CSR = rs1.</summary>
internal readonly unsafe struct Csrrw : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CsrInstructions.Write, o);
}

/// <summary>rd = CSR; CSR |= rs1.</summary>
internal readonly unsafe struct Csrrs : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CsrInstructions.SetBits, o);
}

/// <summary>rd = CSR; CSR &amp;= ~rs1.</summary>
internal readonly unsafe struct Csrrc : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CsrInstructions.ClearBits, o);
}

/// <summary>rd = CSR; CSR = uimm.</summary>
internal readonly unsafe struct Csrrwi : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CsrInstructions.WriteImmediate, o);
}

/// <summary>rd = CSR; CSR |= uimm.</summary>
internal readonly unsafe struct Csrrsi : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CsrInstructions.SetBitsImmediate, o);
}

/// <summary>rd = CSR; CSR &amp;= ~uimm.</summary>
internal readonly unsafe struct Csrrci : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&CsrInstructions.ClearBitsImmediate, o);
}
