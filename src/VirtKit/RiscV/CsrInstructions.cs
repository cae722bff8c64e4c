using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>The six CSR instructions over <see cref="CsrFile"/> (RV-Unpriv §7.1).</summary>
internal static class CsrInstructions
{
    public static bool Write(Hart hart, in Operands o) => Exchange(hart, o, hart.State.X[o.Rs1], Change.Write, writes: true);

    public static bool SetBits(Hart hart, in Operands o) => Exchange(hart, o, hart.State.X[o.Rs1], Change.Set, o.Rs1 != 0);

    public static bool ClearBits(Hart hart, in Operands o) => Exchange(hart, o, hart.State.X[o.Rs1], Change.Clear, o.Rs1 != 0);

    public static bool WriteImmediate(Hart hart, in Operands o) => Exchange(hart, o, o.Rs1, Change.Write, writes: true);

    public static bool SetBitsImmediate(Hart hart, in Operands o) => Exchange(hart, o, o.Rs1, Change.Set, o.Rs1 != 0);

    public static bool ClearBitsImmediate(Hart hart, in Operands o) => Exchange(hart, o, o.Rs1, Change.Clear, o.Rs1 != 0);

    private static bool Exchange(Hart hart, in Operands o, ulong operand, Change change, bool writes)
    {
        if (!CsrFile.TryFind(hart, o.Imm, writes, out CsrFile.Csr? csr))
            return hart.IllegalInstruction();
        ulong old = csr.Read(hart);
        if (writes)
        {
            csr.Write!(hart, change switch
            {
                Change.Write => operand,
                Change.Set => csr.ReadForChange(hart, old) | operand,
                _ => csr.ReadForChange(hart, old) & ~operand,
            });
        }

        if (o.Rd is > 0 and < 32)
            hart.State.X[o.Rd] = old;
        return true;
    }

    private enum Change
    {
        Write,
        Set,
        Clear,
    }
}
