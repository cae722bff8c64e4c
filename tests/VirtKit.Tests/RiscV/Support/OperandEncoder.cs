using VirtKit.RiscV;

namespace VirtKit.Tests.RiscV.Support;

/// <summary>The inverse of <see cref="Encoding.Decode"/>: operand texts into the bits of an instruction word.</summary>
internal static class OperandEncoder
{
    /// <summary>The names of the integer registers, and of the floating-point registers behind them.</summary>
    public static readonly string[] Registers =
        ("zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6 "
        + "ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11").Split(' ');

    private static readonly string[] RoundingModes = ["rne", "rtz", "rdn", "rup", "rmm", "5", "6", "dyn"];

    /// <param name="value">Evaluates an expression.</param>
    /// <param name="csr">The number of a CSR's name.</param>
    /// <param name="here">The instruction's address, or null while labels are not known yet.</param>
    public static uint Encode(Encoding row, string[] o, Func<string, long> value, Func<string, int> csr, ulong? here)
    {
        return row.Format switch
        {
            InstructionFormat.R => Rd(o[0]) | Rs1(o[1]) | Rs2(o[2]),
            InstructionFormat.Unary => Rd(o[0]) | Rs1(o[1]),
            InstructionFormat.I => Rd(o[0]) | Rs1(o[1]) | Signed12(value(o[2])) << 20,
            InstructionFormat.Shift => Rd(o[0]) | Rs1(o[1]) | (uint)value(o[2]) << 20,
            InstructionFormat.Load or InstructionFormat.FloatLoad => Rd(o[0]) | Rs1(Base(o[1])) | Signed12(value(Displacement(o[1]))) << 20,
            InstructionFormat.S or InstructionFormat.FloatStore => Rs2(o[0]) | Rs1(Base(o[1])) | Split(Signed12(value(Displacement(o[1])))),
            InstructionFormat.B => Rs1(o[0]) | Rs2(o[1]) | Branch(Offset(value(o[2]), here, 13)),
            InstructionFormat.U => Rd(o[0]) | checked((uint)value(o[1])) << 12,
            InstructionFormat.J => Rd(o[0]) | Jump(Offset(value(o[1]), here, 21)),
            InstructionFormat.Csr => Rd(o[0]) | (uint)csr(o[1]) << 20 | Rs1(o[2]),
            InstructionFormat.CsrImmediate => Rd(o[0]) | (uint)csr(o[1]) << 20 | ((uint)value(o[2]) & 31) << 15,
            InstructionFormat.Atomic when o.Length == 2 => Rd(o[0]) | Rs1(Base(o[1])),
            InstructionFormat.Atomic => Rd(o[0]) | Rs2(o[1]) | Rs1(Base(o[2])),
            InstructionFormat.Fence2 => Rs1(o[0]) | Rs2(o[1]),
            InstructionFormat.Fence => o.Length == 0 ? 0x0ff00000 : FenceSet(o[0]) << 24 | FenceSet(o[1]) << 20,
            InstructionFormat.Address => Rs1(Base(o[0])),
            InstructionFormat.FloatR => Rd(o[0]) | Rs1(o[1]) | Rs2(o[2]) | Rounding(row, o, 3),
            InstructionFormat.FloatRNoRounding or InstructionFormat.FloatCompare => Rd(o[0]) | Rs1(o[1]) | Rs2(o[2]),
            InstructionFormat.FloatR4 => Rd(o[0]) | Rs1(o[1]) | Rs2(o[2]) | Register(o[3]) << 27 | Rounding(row, o, 4),
            InstructionFormat.FloatUnary or InstructionFormat.FloatToInteger or InstructionFormat.IntegerToFloat => Rd(o[0]) | Rs1(o[1]) | Rounding(row, o, 2),
            InstructionFormat.FloatMoveToInteger or InstructionFormat.IntegerMoveToFloat => Rd(o[0]) | Rs1(o[1]),
            _ => 0,
        };
    }

    private static uint Rd(string text) => Register(text) << 7;

    private static uint Rs1(string text) => Register(text) << 15;

    private static uint Rs2(string text) => Register(text) << 20;

    private static uint Register(string text)
    {
        int index = Array.IndexOf(Registers, text);
        return index >= 0 ? (uint)index & 31 : throw new FormatException($"no register {text}");
    }

    private static string Base(string text) => text[(text.IndexOf('(', StringComparison.Ordinal) + 1)..].TrimEnd(')');

    private static string Displacement(string text) => text.StartsWith('(') ? "0" : text[..text.IndexOf('(', StringComparison.Ordinal)];

    private static uint Signed12(long value) => value is >= -2048 and < 2048 ? (uint)value & 0xfff : throw new OverflowException($"{value} has more than 12 bits");

    private static uint Split(uint imm) => imm >> 5 << 25 | (imm & 31) << 7;

    private static uint Offset(long target, ulong? here, int bits)
    {
        if (here is null)
            return 0;
        long offset = target - (long)here.Value;
        return offset << 64 - bits >> 64 - bits == offset && (offset & 1) == 0 ? (uint)offset : throw new OverflowException($"the target is {offset} bytes away");
    }

    private static uint Branch(uint imm) => (imm >> 12 & 1) << 31 | (imm >> 5 & 63) << 25 | (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7;

    private static uint Jump(uint imm) => (imm >> 20 & 1) << 31 | (imm >> 1 & 0x3ff) << 21 | (imm >> 11 & 1) << 20 | (imm >> 12 & 255) << 12;

    private static uint FenceSet(string text) => text == "0" ? 0u : (uint)text.Sum(letter => 8 >> "iorw".IndexOf(letter, StringComparison.Ordinal));

    private static uint Rounding(Encoding row, string[] o, int index)
    {
        int unwritten = row.Mnemonic is "fcvt.d.s" or "fcvt.d.w" or "fcvt.d.wu" ? 0 : 7;
        return (uint)(o.Length > index ? Array.IndexOf(RoundingModes, o[index]) : unwritten) << 12;
    }
}
