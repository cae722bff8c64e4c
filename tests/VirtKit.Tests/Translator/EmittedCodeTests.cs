using VirtKit.Tests.Support;

namespace VirtKit.Tests.Translator;

/// <summary>The code that blocks become, as golden files: a change of the emitter shows in review.</summary>
public sealed class EmittedCodeTests
{
    private const ulong Pc = 0x8000_0800;

    public static TheoryData<string, string, uint[]> Blocks => new()
    {
        { "AddImmediate", "addi a0,a1,16; addi s2,s2,1", [0x01058513, 0x00190913] },
        { "AddInPlace", "add a0,a0,a1; add a2,a3,a4; sub a0,a1,a0", [0x00b50533, 0x00e68633, 0x40a58533] },
        { "Constants", "lui a0,0x12345; addi a0,a0,0x678; li s3,-1", [0x12345537, 0x67850513, 0xfff00993] },
        { "AddWord", "addw a0,a1,a2; addiw a0,a0,1; sext.w a0,a0", [0x00c5853b, 0x0015051b, 0x0005051b] },
        { "ZeroExtendByShifts", "slli a0,a1,32; srli a0,a0,32", [0x02059513, 0x02055513] },
        { "ScaledIndex", "slli a0,a0,3; add a0,a0,a1; ld a2,0(a0)", [0x00351513, 0x00b50533, 0x00053603] },
        { "RotateByShifts", "srliw t0,a0,7; slliw t1,a0,25; or a1,t0,t1", [0x0075529b, 0x0195131b, 0x0062e5b3] },
        { "RotateByZbb", "rori a0,a1,13; rolw a2,a3,a4", [0x60d5d513, 0x60e6963b] },
        { "Shifts", "sll a0,a1,a2; sraw a3,a4,a5; srai a0,a0,3", [0x00c59533, 0x40f756bb, 0x40355513] },
        { "Compare", "slt a0,a1,a2; sltiu a3,a3,1", [0x00c5a533, 0x0016b693] },
        { "Minimum", "min a0,a0,a1; maxu s2,s3,s4", [0x0ab54533, 0x0b49f933] },
        { "Counts", "clz a0,a1; ctzw a2,a3; cpop a4,s5", [0x60059513, 0x6016961b, 0x602a9713] },
        { "BitOperations", "bclr a0,a0,a1; bseti a2,a2,40; andn a3,a4,a5; orc.b a0,a0; rev8 a1,a1", [0x48b51533, 0x2a861613, 0x40f776b3, 0x28755513, 0x6b85d593] },
        { "Multiply", "mul a0,a0,a1; mulh a2,a3,a4; mulhsu a5,s2,s3; mulw a0,a0,a1", [0x02b50533, 0x02e69633, 0x033927b3, 0x02b5053b] },
        { "Divide", "div a0,a1,a2", [0x02c5c533] },
        { "RemainderWord", "remuw a0,a1,a2", [0x02c5f53b] },
        { "Load", "lw a0,8(sp)", [0x00812503] },
        { "LoadByteInPlace", "lbu a0,0(a0)", [0x00054503] },
        { "Store", "sd s2,16(sp); sb zero,1(a0)", [0x01213823, 0x000500a3] },
        { "BranchBack", "addi a0,a0,-1; bnez a0,.-4", [0xfff50513, 0xfe051ee3] },
        { "BranchAhead", "bltu a0,a1,.+16", [0x00b56863] },
        { "BranchOnComparison", "slt t0,a0,a1; bnez t0,.+16", [0x00b522b3, 0x00029863] },
        { "BranchOnOldComparison", "sltiu a2,a0,5; addi a0,a0,1; beqz a2,.+16", [0x00553613, 0x00150513, 0x00060863] },
        { "JumpToOtherPage", "j .+8192", [0x0000206f] },
        { "Call", "auipc ra,1; jalr ra,-8(ra)", [0x00001097, 0xff8080e7] },
        { "Return", "ret", [0x00008067] },
        { "LinkThroughItself", "jalr a0,4(a0)", [0x00450567] },
        { "AtomicAdd", "amoadd.w a0,a1,(a2)", [0x00b6252f] },
        { "AtomicMaximum", "amomax.d s2,a1,(a2)", [0xa0b6392f] },
        { "LoadReserved", "lr.d a0,(a1); sc.d a0,a2,(a1)", [0x1005b52f, 0x18c5b52f] },
        { "FloatSum", "fadd.d fa0,fa1,fa2; fmul.d fa0,fa0,fs5", [0x02c5f553, 0x13557553] },
        { "FloatFused", "fmadd.d fa0,fa1,fa2,fa0; fnmsub.s ft4,fa1,ft5,ft6", [0x52c5f543, 0x3055f24b] },
        { "FloatSingle", "flw fa0,0(a0); fadd.s fa0,fa0,fa1; fsw fa0,0(a0)", [0x00052507, 0x00b57553, 0x00a52027] },
        { "FloatConvert", "fcvt.d.l fa0,a0; fcvt.w.d a1,fa0,rtz; flt.d a2,fa0,fa1; fneg.d fa2,fa1", [0xd2257553, 0xc20515d3, 0xa2b51653, 0x22b59653] },
        { "Prologue", "addi sp,sp,-32; sd ra,24(sp); sd s0,16(sp); sw a5,12(sp)", [0xfe010113, 0x00113c23, 0x00813823, 0x00f12623] },
        { "LoopBorrowsRegisters", "add t0,t0,t1; addi t1,t1,-1; bnez t1,.-8", [0x006282b3, 0xfff30313, 0xfe031ce3] },
        { "LoopOfLoads", "lbu a0,0(a1); addi a1,a1,1; bnez a0,.-8", [0x0005c503, 0x00158593, 0xfe051ce3] },
        { "System", "csrr a0,mstatus", [0x30002573] },
        { "Fence", "fence rw,rw", [0x0330000f] },
    };

    [Theory]
    [MemberData(nameof(Blocks))]
    public void Emit_ABlock_GivesThisCode(string name, string source, uint[] words)
    {
        Translators.Require();
        Snapshot.Verify($"; {source}\n{EmittedCode.Of(Pc, words)}", name);
    }
}
