using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>The base integer instructions that RV32I has too, on 64 bits (RV-Unpriv §2).</summary>
internal static unsafe class I
{
    public static InstructionGroup Group => new("I", &AddTo, 0x03, 0x0f, 0x13, 0x17, 0x23, 0x33, 0x37, 0x63, 0x67, 0x6f, 0x73);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §2.4.1");
        set.Add(Encoding.OfOpcode("lui", InstructionFormat.U, 0x37), &Choose<Lui>);
        set.Add(Encoding.OfOpcode("auipc", InstructionFormat.U, 0x17, InstructionForm.PcRelative), &Choose<Auipc>);
        set.Add(Encoding.Of("addi", InstructionFormat.I, 0x13, 0), &Choose<RegisterImmediate<Sum>>);
        set.Add(Encoding.Of("slti", InstructionFormat.I, 0x13, 2), &Choose<RegisterImmediate<SetWhere<Less>>>);
        set.Add(Encoding.Of("sltiu", InstructionFormat.I, 0x13, 3), &Choose<RegisterImmediate<SetWhere<LessUnsigned>>>);
        set.Add(Encoding.Of("xori", InstructionFormat.I, 0x13, 4), &Choose<RegisterImmediate<BitXor>>);
        set.Add(Encoding.Of("ori", InstructionFormat.I, 0x13, 6), &Choose<RegisterImmediate<BitOr>>);
        set.Add(Encoding.Of("andi", InstructionFormat.I, 0x13, 7), &Choose<RegisterImmediate<BitAnd>>);
        set.Add(Encoding.Shift("slli", 0x13, 1, 0x00), &Choose<RegisterImmediate<ShiftLeft>>);
        set.Add(Encoding.Shift("srli", 0x13, 5, 0x00), &Choose<RegisterImmediate<ShiftRightLogical>>);
        set.Add(Encoding.Shift("srai", 0x13, 5, 0x10), &Choose<RegisterImmediate<ShiftRightArithmetic>>);

        set.Section("RV-Unpriv §2.4.2");
        set.Add(Encoding.R("add", 0x33, 0, 0x00), &Choose<RegisterRegister<Sum>>);
        set.Add(Encoding.R("sub", 0x33, 0, 0x20), &Choose<RegisterRegister<Difference>>);
        set.Add(Encoding.R("sll", 0x33, 1, 0x00), &Choose<RegisterRegister<ShiftLeft>>);
        set.Add(Encoding.R("slt", 0x33, 2, 0x00), &Choose<RegisterRegister<SetWhere<Less>>>);
        set.Add(Encoding.R("sltu", 0x33, 3, 0x00), &Choose<RegisterRegister<SetWhere<LessUnsigned>>>);
        set.Add(Encoding.R("xor", 0x33, 4, 0x00), &Choose<RegisterRegister<BitXor>>);
        set.Add(Encoding.R("srl", 0x33, 5, 0x00), &Choose<RegisterRegister<ShiftRightLogical>>);
        set.Add(Encoding.R("sra", 0x33, 5, 0x20), &Choose<RegisterRegister<ShiftRightArithmetic>>);
        set.Add(Encoding.R("or", 0x33, 6, 0x00), &Choose<RegisterRegister<BitOr>>);
        set.Add(Encoding.R("and", 0x33, 7, 0x00), &Choose<RegisterRegister<BitAnd>>);

        set.Section("RV-Unpriv §2.5.1");
        set.Add(Encoding.OfOpcode("jal", InstructionFormat.J, 0x6f, InstructionForm.Jump), &Choose<Jal>);
        set.Add(Encoding.Of("jalr", InstructionFormat.Load, 0x67, 0, InstructionForm.JumpRegister), &Choose<Jalr>);

        set.Section("RV-Unpriv §2.5.2");
        set.Add(Encoding.Of("beq", InstructionFormat.B, 0x63, 0, InstructionForm.Branch), &Choose<Branch<Equal>>);
        set.Add(Encoding.Of("bne", InstructionFormat.B, 0x63, 1, InstructionForm.Branch), &Choose<Branch<NotEqual>>);
        set.Add(Encoding.Of("blt", InstructionFormat.B, 0x63, 4, InstructionForm.Branch), &Choose<Branch<Less>>);
        set.Add(Encoding.Of("bge", InstructionFormat.B, 0x63, 5, InstructionForm.Branch), &Choose<Branch<GreaterOrEqual>>);
        set.Add(Encoding.Of("bltu", InstructionFormat.B, 0x63, 6, InstructionForm.Branch), &Choose<Branch<LessUnsigned>>);
        set.Add(Encoding.Of("bgeu", InstructionFormat.B, 0x63, 7, InstructionForm.Branch), &Choose<Branch<GreaterOrEqualUnsigned>>);

        set.Section("RV-Unpriv §2.6");
        set.Add(Encoding.Of("lb", InstructionFormat.Load, 0x03, 0), &Choose<Load<S8>>);
        set.Add(Encoding.Of("lh", InstructionFormat.Load, 0x03, 1), &Choose<Load<S16>>);
        set.Add(Encoding.Of("lw", InstructionFormat.Load, 0x03, 2), &Choose<Load<S32>>);
        set.Add(Encoding.Of("lbu", InstructionFormat.Load, 0x03, 4), &Choose<Load<U8>>);
        set.Add(Encoding.Of("lhu", InstructionFormat.Load, 0x03, 5), &Choose<Load<U16>>);
        set.Add(Encoding.Of("sb", InstructionFormat.S, 0x23, 0), &Choose<Store<U8>>);
        set.Add(Encoding.Of("sh", InstructionFormat.S, 0x23, 1), &Choose<Store<U16>>);
        set.Add(Encoding.Of("sw", InstructionFormat.S, 0x23, 2), &Choose<Store<U32>>);

        set.Section("RV-Unpriv §2.7");
        set.Add(Encoding.Of("fence", InstructionFormat.Fence, 0x0f, 0), &Choose<Fence>);

        set.Section("RV-Unpriv §2.8");
        set.Add(Encoding.OfWord("ecall", 0x00000073), &Choose<Ecall>);
        set.Add(Encoding.OfWord("ebreak", 0x00100073), &Choose<Ebreak>);
    }
}

/// <summary>rd = imm.</summary>
internal readonly struct Lui : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Write(o.Rd, b.Constant((ulong)o.Imm));
}

/// <summary>rd = pc + imm.</summary>
internal readonly struct Auipc : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Write(o.Rd, b.PcPlus(o.Imm));
}

/// <summary>rd = next pc; pc += offset.</summary>
internal readonly struct Jal : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o)
    {
        b.Write(o.Rd, b.NextPc());
        return b.Jump(o.Imm);
    }
}

/// <summary>rd = next pc; pc = (rs1 + imm) without its lowest bit.</summary>
internal readonly struct Jalr : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o)
    {
        V target = b.And(b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Constant(~1UL));
        b.Write(o.Rd, b.NextPc());
        return b.JumpTo(target);
    }
}

/// <summary>Orders memory accesses; every fence is a full one here. Zihintpause's PAUSE and fence.tso are encodings of it.</summary>
internal readonly struct Fence : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Fence();
}

/// <summary>Traps to the environment.</summary>
internal readonly unsafe struct Ecall : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.Ecall, o);
}

/// <summary>Traps to the debugger.</summary>
internal readonly unsafe struct Ebreak : IInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Call<Hart>(&PrivilegedInstructions.Ebreak, o);
}

internal readonly struct Sum : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Add(x, y);
}

internal readonly struct Difference : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Sub(x, y);
}

internal readonly struct BitAnd : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.And(x, y);
}

internal readonly struct BitOr : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Or(x, y);
}

internal readonly struct BitXor : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Xor(x, y);
}

internal readonly struct ShiftLeft : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.ShiftLeft(x, y);
}

internal readonly struct ShiftRightLogical : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.ShiftRightLogical(x, y);
}

internal readonly struct ShiftRightArithmetic : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.ShiftRightArithmetic(x, y);
}

/// <summary>1 where the operands compare so, otherwise 0.</summary>
internal readonly struct SetWhere<C> : IBinaryOperation where C : struct, IConstant<Comparison>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IBinaryOperation.Apply<B, V>(ref B b, V x, V y) => b.Compare(C.Value, x, y);
}
