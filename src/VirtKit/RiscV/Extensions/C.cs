namespace VirtKit.RiscV.Extensions;

/// <summary>Compressed instructions (RV-Unpriv §26): each only expands to the 32-bit instruction that it abbreviates.</summary>
internal static class C
{
    private const uint Sp = 2, Ra = 1;

    /// <summary>The expansion of a half word whose two lowest bits are not 11.</summary>
    /// <returns>The 32-bit instruction, or 0, which is illegal, for a reserved encoding.</returns>
    public static uint Expand(ushort half)
    {
        uint h = half;
        uint rd = h >> 7 & 31, rs2 = h >> 2 & 31;
        uint rdShort = 8 + (h >> 2 & 7), rs1Short = 8 + (h >> 7 & 7);
        return ((h & 3) << 3 | h >> 13) switch
        {
            0 when Addi4SpnImm(h) != 0 => IType(0x13, 0, rdShort, Sp, Addi4SpnImm(h)),              // c.addi4spn
            1 => IType(0x07, 3, rdShort, rs1Short, DoubleOffset(h)),                               // c.fld
            2 => IType(0x03, 2, rdShort, rs1Short, WordOffset(h)),                                 // c.lw
            3 => IType(0x03, 3, rdShort, rs1Short, DoubleOffset(h)),                               // c.ld
            5 => SType(0x27, 3, rs1Short, rdShort, DoubleOffset(h)),                               // c.fsd
            6 => SType(0x23, 2, rs1Short, rdShort, WordOffset(h)),                                 // c.sw
            7 => SType(0x23, 3, rs1Short, rdShort, DoubleOffset(h)),                               // c.sd
            8 => IType(0x13, 0, rd, rd, Imm6(h)),                                                  // c.addi, c.nop
            9 when rd != 0 => IType(0x1b, 0, rd, rd, Imm6(h)),                                     // c.addiw
            10 => IType(0x13, 0, rd, 0, Imm6(h)),                                                  // c.li
            11 when rd == Sp => Addi16Sp(h),
            11 when Imm6(h) != 0 => Imm6(h) << 12 | rd << 7 | 0x37,                                // c.lui
            12 => Arithmetic(h, rs1Short, rdShort),
            13 => JType(0, JumpOffset(h)),                                                         // c.j
            14 => BType(0, rs1Short, BranchOffset(h)),                                             // c.beqz
            15 => BType(1, rs1Short, BranchOffset(h)),                                             // c.bnez
            16 => IType(0x13, 1, rd, rd, Shamt(h)),                                                // c.slli
            17 => IType(0x07, 3, rd, Sp, DoubleStackLoad(h)),                                      // c.fldsp
            18 when rd != 0 => IType(0x03, 2, rd, Sp, WordStackLoad(h)),                           // c.lwsp
            19 when rd != 0 => IType(0x03, 3, rd, Sp, DoubleStackLoad(h)),                         // c.ldsp
            20 => JumpOrMove(h, rd, rs2),
            21 => SType(0x27, 3, Sp, rs2, DoubleStackStore(h)),                                    // c.fsdsp
            22 => SType(0x23, 2, Sp, rs2, WordStackStore(h)),                                      // c.swsp
            23 => SType(0x23, 3, Sp, rs2, DoubleStackStore(h)),                                    // c.sdsp
            _ => 0,
        };
    }

    private static uint Arithmetic(uint h, uint rd, uint rs2) => (h >> 10 & 3) switch
    {
        0 => IType(0x13, 5, rd, rd, Shamt(h)),                                                     // c.srli
        1 => IType(0x13, 5, rd, rd, Shamt(h) | 0x400),                                             // c.srai
        2 => IType(0x13, 7, rd, rd, Imm6(h)),                                                      // c.andi
        _ => (h >> 10 & 4 | h >> 5 & 3) switch
        {
            0 => RType(0x33, 0, 0x20, rd, rd, rs2),                                                // c.sub
            1 => RType(0x33, 4, 0, rd, rd, rs2),                                                   // c.xor
            2 => RType(0x33, 6, 0, rd, rd, rs2),                                                   // c.or
            3 => RType(0x33, 7, 0, rd, rd, rs2),                                                   // c.and
            4 => RType(0x3b, 0, 0x20, rd, rd, rs2),                                                // c.subw
            5 => RType(0x3b, 0, 0, rd, rd, rs2),                                                   // c.addw
            _ => 0,
        },
    };

    private static uint JumpOrMove(uint h, uint rd, uint rs2) => ((h & 0x1000) != 0, rd, rs2) switch
    {
        (false, 0, 0) => 0,
        (false, _, 0) => IType(0x67, 0, 0, rd, 0),                                                 // c.jr
        (false, _, _) => RType(0x33, 0, 0, rd, 0, rs2),                                            // c.mv
        (true, 0, 0) => 0x00100073,                                                                // c.ebreak
        (true, _, 0) => IType(0x67, 0, Ra, rd, 0),                                                 // c.jalr
        (true, _, _) => RType(0x33, 0, 0, rd, rd, rs2),                                            // c.add
    };

    private static uint Addi16Sp(uint h)
    {
        uint imm = Sign(h, 9) | h >> 2 & 0x10 | h << 3 & 0x20 | h << 1 & 0x40 | h << 4 & 0x180;
        return imm == 0 ? 0 : IType(0x13, 0, Sp, Sp, imm);
    }

    private static uint Sign(uint h, int bit) => (h & 0x1000) != 0 ? uint.MaxValue << bit : 0;

    private static uint Imm6(uint h) => Sign(h, 5) | h >> 2 & 31;

    private static uint Shamt(uint h) => h >> 7 & 32 | h >> 2 & 31;

    private static uint Addi4SpnImm(uint h) => h >> 7 & 0x30 | h >> 1 & 0x3c0 | h >> 4 & 4 | h >> 2 & 8;

    private static uint WordOffset(uint h) => h >> 7 & 0x38 | h >> 4 & 4 | h << 1 & 0x40;

    private static uint DoubleOffset(uint h) => h >> 7 & 0x38 | h << 1 & 0xc0;

    private static uint WordStackLoad(uint h) => h >> 7 & 0x20 | h >> 2 & 0x1c | h << 4 & 0xc0;

    private static uint DoubleStackLoad(uint h) => h >> 7 & 0x20 | h >> 2 & 0x18 | h << 4 & 0x1c0;

    private static uint WordStackStore(uint h) => h >> 7 & 0x3c | h >> 1 & 0xc0;

    private static uint DoubleStackStore(uint h) => h >> 7 & 0x38 | h >> 1 & 0x1c0;

    private static uint JumpOffset(uint h) =>
        Sign(h, 11) | h >> 7 & 0x10 | h >> 1 & 0x300 | h << 2 & 0x400 | h >> 1 & 0x40 | h << 1 & 0x80 | h >> 2 & 0xe | h << 3 & 0x20;

    private static uint BranchOffset(uint h) => Sign(h, 8) | h >> 7 & 0x18 | h << 1 & 0xc0 | h >> 2 & 6 | h << 3 & 0x20;

    private static uint RType(uint opcode, uint funct3, uint funct7, uint rd, uint rs1, uint rs2) =>
        funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;

    private static uint IType(uint opcode, uint funct3, uint rd, uint rs1, uint imm) => imm << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;

    private static uint SType(uint opcode, uint funct3, uint rs1, uint rs2, uint imm) =>
        (imm >> 5) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 31) << 7 | opcode;

    private static uint BType(uint funct3, uint rs1, uint imm) =>
        (imm >> 12 & 1) << 31 | (imm >> 5 & 63) << 25 | rs1 << 15 | funct3 << 12 | (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7 | 0x63;

    private static uint JType(uint rd, uint imm) =>
        (imm >> 20 & 1) << 31 | (imm >> 1 & 0x3ff) << 21 | (imm >> 11 & 1) << 20 | (imm >> 12 & 255) << 12 | rd << 7 | 0x6f;
}
