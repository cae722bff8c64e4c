using VirtKit.Execution;

namespace VirtKit.RiscV;

/// <summary>How the operands of an instruction lie in its 32 bits (RV-Unpriv §2.2, §2.3).</summary>
internal enum InstructionFormat : byte
{
    /// <summary>rd, rs1, rs2.</summary>
    R,

    /// <summary>rd, rs1.</summary>
    Unary,

    /// <summary>rd, rs1, imm[11:0].</summary>
    I,

    /// <summary>rd, rs1, shamt[5:0].</summary>
    Shift,

    /// <summary>rd, imm(rs1).</summary>
    Load,

    /// <summary>rs2, imm(rs1).</summary>
    S,

    /// <summary>rs1, rs2, branch offset.</summary>
    B,

    /// <summary>rd, imm[31:12].</summary>
    U,

    /// <summary>rd, jump offset.</summary>
    J,

    /// <summary>rd, csr, rs1.</summary>
    Csr,

    /// <summary>rd, csr, uimm[4:0].</summary>
    CsrImmediate,

    /// <summary>rd, rs2, (rs1).</summary>
    Atomic,

    /// <summary>rs1, rs2 that name no destination: sfence.vma and its kin.</summary>
    Fence2,

    /// <summary>Predecessor and successor sets: fence.</summary>
    Fence,

    /// <summary>(rs1) alone: cache-block operations.</summary>
    Address,

    /// <summary>No operands.</summary>
    None,

    /// <summary>fd, fs1, fs2, rm.</summary>
    FloatR,

    /// <summary>fd, fs1, fs2 without a rounding mode.</summary>
    FloatRNoRounding,

    /// <summary>fd, fs1, rm.</summary>
    FloatUnary,

    /// <summary>fd, fs1, fs2, fs3, rm.</summary>
    FloatR4,

    /// <summary>rd, fs1, fs2: comparisons.</summary>
    FloatCompare,

    /// <summary>rd, fs1, rm.</summary>
    FloatToInteger,

    /// <summary>rd, fs1 without a rounding mode.</summary>
    FloatMoveToInteger,

    /// <summary>fd, rs1, rm.</summary>
    IntegerToFloat,

    /// <summary>fd, rs1 without a rounding mode.</summary>
    IntegerMoveToFloat,

    /// <summary>fd, imm(rs1).</summary>
    FloatLoad,

    /// <summary>fs2, imm(rs1).</summary>
    FloatStore,
}

/// <summary>One row of the instruction table: how it is encoded and written.</summary>
internal readonly record struct Encoding(string Mnemonic, uint Mask, uint Match, InstructionFormat Format, InstructionForm Form = InstructionForm.Plain)
{
    /// <summary>Opcode and funct3.</summary>
    public static Encoding Of(string mnemonic, InstructionFormat format, uint opcode, uint funct3, InstructionForm form = InstructionForm.Plain) =>
        new(mnemonic, 0x707f, opcode | funct3 << 12, format, form);

    /// <summary>Opcode alone: U and J types.</summary>
    public static Encoding OfOpcode(string mnemonic, InstructionFormat format, uint opcode, InstructionForm form = InstructionForm.Plain) =>
        new(mnemonic, 0x7f, opcode, format, form);

    /// <summary>Opcode, funct3 and funct7.</summary>
    public static Encoding R(string mnemonic, uint opcode, uint funct3, uint funct7, InstructionForm form = InstructionForm.Plain) =>
        new(mnemonic, 0xfe00707f, opcode | funct3 << 12 | funct7 << 25, InstructionFormat.R, form);

    /// <summary>Opcode, funct3 and the six upper bits, leaving a 6-bit shift amount.</summary>
    public static Encoding Shift(string mnemonic, uint opcode, uint funct3, uint funct6) =>
        new(mnemonic, 0xfc00707f, opcode | funct3 << 12 | funct6 << 26, InstructionFormat.Shift);

    /// <summary>Opcode, funct3 and funct7, leaving a 5-bit shift amount.</summary>
    public static Encoding ShiftWord(string mnemonic, uint opcode, uint funct3, uint funct7) =>
        new(mnemonic, 0xfe00707f, opcode | funct3 << 12 | funct7 << 25, InstructionFormat.Shift);

    /// <summary>Opcode, funct3 and all twelve upper bits.</summary>
    public static Encoding Unary(string mnemonic, uint opcode, uint funct3, uint funct12) =>
        new(mnemonic, 0xfff0707f, opcode | funct3 << 12 | funct12 << 20, InstructionFormat.Unary);

    /// <summary>AMO with funct3 and funct5, leaving the aq and rl bits.</summary>
    public static Encoding Atomic(string mnemonic, uint funct3, uint funct5) =>
        new(mnemonic, 0xf800707f, 0x2f | funct3 << 12 | funct5 << 27, InstructionFormat.Atomic);

    /// <summary>The whole word but rs1 and rs2.</summary>
    public static Encoding OfSources(string mnemonic, uint word) => new(mnemonic, 0xfe007fff, word, InstructionFormat.Fence2, InstructionForm.System);

    /// <summary>The whole word but rs1: cache-block operations.</summary>
    public static Encoding OfAddress(string mnemonic, uint word) => new(mnemonic, 0xfff07fff, word, InstructionFormat.Address);

    /// <summary>The whole word.</summary>
    public static Encoding OfWord(string mnemonic, uint word) => new(mnemonic, uint.MaxValue, word, InstructionFormat.None, InstructionForm.System);

    /// <summary>Whether rd names an integer register.</summary>
    public bool WritesX => Format is InstructionFormat.R or InstructionFormat.Unary or InstructionFormat.I or InstructionFormat.Shift or InstructionFormat.Load
        or InstructionFormat.U or InstructionFormat.J or InstructionFormat.Csr or InstructionFormat.CsrImmediate or InstructionFormat.Atomic
        or InstructionFormat.FloatCompare or InstructionFormat.FloatToInteger or InstructionFormat.FloatMoveToInteger;

    /// <summary>What a translator has to know before it records the instruction with these operands.</summary>
    public InstructionTraits TraitsOf(in Operands o) => Format switch
    {
        InstructionFormat.I or InstructionFormat.Shift or InstructionFormat.Unary => InstructionTraits.Pure,
        InstructionFormat.R when o.Rs1 != o.Rs2 => InstructionTraits.Pure,
        InstructionFormat.Atomic or InstructionFormat.Address => InstructionTraits.Unrepeatable,
        InstructionFormat.Csr or InstructionFormat.CsrImmediate => InstructionTraits.Unrepeatable | InstructionTraits.MayGoOn,
        _ => Form == InstructionForm.System ? InstructionTraits.Unrepeatable : InstructionTraits.None,
    };

    /// <summary>As <see cref="Decode"/>, with registers as the numbers of their slots: f0 to f31 stand behind x0 to x31, and writes to x0 go to the sink.</summary>
    public Operands DecodeSlots(uint word)
    {
        Operands o = Decode(word);
        if (Format is InstructionFormat.FloatR or InstructionFormat.FloatRNoRounding or InstructionFormat.FloatR4 or InstructionFormat.FloatUnary
            or InstructionFormat.IntegerToFloat or InstructionFormat.IntegerMoveToFloat or InstructionFormat.FloatLoad)
            o.Rd += RiscVSlots.F0;
        if (Format is InstructionFormat.FloatR or InstructionFormat.FloatRNoRounding or InstructionFormat.FloatR4 or InstructionFormat.FloatUnary
            or InstructionFormat.FloatCompare or InstructionFormat.FloatToInteger or InstructionFormat.FloatMoveToInteger)
            o.Rs1 += RiscVSlots.F0;
        if (Format is InstructionFormat.FloatR or InstructionFormat.FloatRNoRounding or InstructionFormat.FloatR4 or InstructionFormat.FloatCompare or InstructionFormat.FloatStore)
            o.Rs2 += RiscVSlots.F0;
        if (Format == InstructionFormat.FloatR4)
            o.Imm += RiscVSlots.F0 << 8;
        if (WritesX && o.Rd == 0)
            o.Rd = (byte)RiscVSlots.Sink;
        return o;
    }

    /// <summary>Takes the operands out of an instruction word that matches this row.</summary>
    public Operands Decode(uint word)
    {
        var operands = new Operands { Rd = (byte)(word >> 7 & 31), Rs1 = (byte)(word >> 15 & 31), Rs2 = (byte)(word >> 20 & 31) };
        operands.Imm = Format switch
        {
            InstructionFormat.I or InstructionFormat.Load or InstructionFormat.FloatLoad => (int)word >> 20,
            InstructionFormat.Shift => (int)(word >> 20 & 63),
            InstructionFormat.S or InstructionFormat.FloatStore => (int)word >> 25 << 5 | (int)(word >> 7 & 31),
            InstructionFormat.B => (int)word >> 31 << 12 | (int)(word >> 7 & 1) << 11 | (int)(word >> 25 & 63) << 5 | (int)(word >> 8 & 15) << 1,
            InstructionFormat.U => (int)(word & 0xfffff000),
            InstructionFormat.J => (int)word >> 31 << 20 | (int)(word & 0xff000) | (int)(word >> 20 & 1) << 11 | (int)(word >> 21 & 0x3ff) << 1,
            InstructionFormat.Csr or InstructionFormat.CsrImmediate or InstructionFormat.Fence => (int)(word >> 20),
            InstructionFormat.FloatR4 => (int)(word >> 27) << 8 | (int)(word >> 12 & 7),
            InstructionFormat.FloatR or InstructionFormat.FloatUnary or InstructionFormat.FloatToInteger or InstructionFormat.IntegerToFloat => (int)(word >> 12 & 7),
            _ => 0,
        };
        return operands;
    }
}
