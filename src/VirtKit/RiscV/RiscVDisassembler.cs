using System.Globalization;
using VirtKit.Execution;
using VirtKit.RiscV.Extensions;

namespace VirtKit.RiscV;

/// <summary>Writes RISC-V instructions as assembler text, from the same rows that engines decode with. Immutable; any thread may use it.</summary>
/// <remarks>The text is what the GNU assembler reads, with ABI register names (RISC-V ELF psABI §1) and without pseudo-instructions: <c>addi a0,zero,1</c>, not
/// <c>li a0,1</c>. Targets of branches and jumps are absolute. A compressed instruction is shown as the instruction that it expands to. A dynamic rounding mode is
/// left out, as the assembler leaves it out.</remarks>
public sealed class RiscVDisassembler
{
    private static readonly string[] IntegerNames =
    [
        "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
        "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
    ];

    private static readonly string[] FloatNames =
    [
        "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
        "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
    ];

    private static readonly string[] RoundingNames = ["rne", "rtz", "rdn", "rup", "rmm", "5", "6", "dyn"];

    private const uint SecondSource = 0x01f00000, Pause = 0x0100000f, FenceTso = 0x8330000f;

    private readonly InstructionSet _set;

    /// <summary>Creates a disassembler for the instructions of an ISA string.</summary>
    /// <param name="isa">As <see cref="RiscVArchitecture.Isa"/>.</param>
    /// <exception cref="ArgumentException">The string is malformed or names an extension that is not implemented.</exception>
    public RiscVDisassembler(string isa = RiscVArchitecture.FullIsa) : this(InstructionSet.Of(isa))
    {
    }

    internal RiscVDisassembler(InstructionSet set) => _set = set;

    /// <summary>The text of one instruction.</summary>
    /// <param name="code">The 32 bits at its address; of a compressed instruction only the low half counts.</param>
    /// <param name="address">Where it stands, for the targets of branches and jumps.</param>
    /// <param name="length">Its length in bytes, 2 or 4.</param>
    /// <returns>Mnemonic and operands with one space between them; <c>.2byte</c> or <c>.4byte</c> with the bits where they are no instruction of the ISA.</returns>
    public string Disassemble(uint code, Gva address, out int length)
    {
        bool compressed = (code & 3) != 3;
        length = compressed ? 2 : 4;
        uint word = compressed ? C.Expand((ushort)code) : code;
        if (_set.Decode(word) is not { Encoding: var row })
            return compressed ? Text($".2byte 0x{code & 0xffff:x4}") : Text($".4byte 0x{code:x8}");
        if (word == FenceTso)
            return "fence.tso";
        if (word == Pause && _set.Extensions.Contains("zihintpause"))
            return "pause";
        string operands = Operands(row, row.Decode(word), word, address.Value);
        string mnemonic = row.Format == InstructionFormat.Atomic ? row.Mnemonic + Ordering(word) : row.Mnemonic;
        return operands.Length == 0 ? mnemonic : mnemonic + " " + operands;
    }

    private static string Operands(in Encoding row, in Operands o, uint word, ulong address)
    {
        string rd = IntegerNames[o.Rd], rs1 = IntegerNames[o.Rs1], rs2 = IntegerNames[o.Rs2];
        string fd = FloatNames[o.Rd], fs1 = FloatNames[o.Rs1], fs2 = FloatNames[o.Rs2];
        string rounding = Rounding(row.Mnemonic, (int)o.RoundingMode);
        return row.Format switch
        {
            InstructionFormat.R => $"{rd},{rs1},{rs2}",
            InstructionFormat.Unary => $"{rd},{rs1}",
            InstructionFormat.I => Text($"{rd},{rs1},{o.Imm}"),
            InstructionFormat.Shift => Text($"{rd},{rs1},0x{o.Imm:x}"),
            InstructionFormat.Load => Text($"{rd},{o.Imm}({rs1})"),
            InstructionFormat.S => Text($"{rs2},{o.Imm}({rs1})"),
            InstructionFormat.B => Text($"{rs1},{rs2},0x{address + (ulong)o.Imm:x}"),
            InstructionFormat.U => Text($"{rd},0x{(uint)o.Imm >> 12:x}"),
            InstructionFormat.J => Text($"{rd},0x{address + (ulong)o.Imm:x}"),
            InstructionFormat.Csr => $"{rd},{CsrName(o.Imm)},{rs1}",
            InstructionFormat.CsrImmediate => Text($"{rd},{CsrName(o.Imm)},{o.Rs1}"),
            InstructionFormat.Atomic when (row.Mask & SecondSource) != 0 => $"{rd},({rs1})",
            InstructionFormat.Atomic => $"{rd},{rs2},({rs1})",
            InstructionFormat.Fence2 => $"{rs1},{rs2}",
            InstructionFormat.Fence => FenceSet(word >> 24) + "," + FenceSet(word >> 20),
            InstructionFormat.Address => $"({rs1})",
            InstructionFormat.FloatR => $"{fd},{fs1},{fs2}{rounding}",
            InstructionFormat.FloatRNoRounding => $"{fd},{fs1},{fs2}",
            InstructionFormat.FloatUnary => $"{fd},{fs1}{rounding}",
            InstructionFormat.FloatR4 => $"{fd},{fs1},{fs2},{FloatNames[o.Rs3 & 31]}{rounding}",
            InstructionFormat.FloatCompare => $"{rd},{fs1},{fs2}",
            InstructionFormat.FloatToInteger => $"{rd},{fs1}{rounding}",
            InstructionFormat.FloatMoveToInteger => $"{rd},{fs1}",
            InstructionFormat.IntegerToFloat => $"{fd},{rs1}{rounding}",
            InstructionFormat.IntegerMoveToFloat => $"{fd},{rs1}",
            InstructionFormat.FloatLoad => Text($"{fd},{o.Imm}({rs1})"),
            InstructionFormat.FloatStore => Text($"{fs2},{o.Imm}({rs1})"),
            _ => "",
        };
    }

    private static string CsrName(int number) => CsrFile.NameOf(number) ?? Text($"0x{number:x}");

    private static string Ordering(uint word) => (word >> 25 & 3) switch { 0 => "", 1 => ".rl", 2 => ".aq", _ => ".aqrl" };

    private static string FenceSet(uint bits)
    {
        string set = ((bits & 8) != 0 ? "i" : "") + ((bits & 4) != 0 ? "o" : "") + ((bits & 2) != 0 ? "r" : "") + ((bits & 1) != 0 ? "w" : "");
        return set.Length == 0 ? "0" : set;
    }

    /// <summary>Where a conversion is always exact, the mode that the assembler leaves out is rne.</summary>
    private static string Rounding(string mnemonic, int mode)
    {
        int unwritten = mnemonic is "fcvt.d.s" or "fcvt.d.w" or "fcvt.d.wu" ? 0 : 7;
        return mode == unwritten ? "" : "," + RoundingNames[mode];
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
