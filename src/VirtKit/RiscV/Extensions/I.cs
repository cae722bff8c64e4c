using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>The base integer instructions that RV32I has too, on 64 bits (RV-Unpriv §2).</summary>
internal static unsafe class I
{
    public static InstructionGroup Group => new(&AddTo, 0x03, 0x0f, 0x13, 0x17, 0x23, 0x33, 0x37, 0x63, 0x67, 0x6f);

    private static void AddTo(InstructionSet set)
    {
        set.Add(Lui.Encoding, &InstructionSet.Choose<Lui>);
        set.Add(Auipc.Encoding, &InstructionSet.Choose<Auipc>);
        set.Add(Jal.Encoding, &InstructionSet.Choose<Jal>);
        set.Add(Jalr.Encoding, &InstructionSet.Choose<Jalr>);
        set.Add(Beq.Encoding, &InstructionSet.Choose<Beq>);
        set.Add(Bne.Encoding, &InstructionSet.Choose<Bne>);
        set.Add(Blt.Encoding, &InstructionSet.Choose<Blt>);
        set.Add(Bge.Encoding, &InstructionSet.Choose<Bge>);
        set.Add(Bltu.Encoding, &InstructionSet.Choose<Bltu>);
        set.Add(Bgeu.Encoding, &InstructionSet.Choose<Bgeu>);
        set.Add(Lb.Encoding, &InstructionSet.Choose<Lb>);
        set.Add(Lh.Encoding, &InstructionSet.Choose<Lh>);
        set.Add(Lw.Encoding, &InstructionSet.Choose<Lw>);
        set.Add(Lbu.Encoding, &InstructionSet.Choose<Lbu>);
        set.Add(Lhu.Encoding, &InstructionSet.Choose<Lhu>);
        set.Add(Sb.Encoding, &InstructionSet.Choose<Sb>);
        set.Add(Sh.Encoding, &InstructionSet.Choose<Sh>);
        set.Add(Sw.Encoding, &InstructionSet.Choose<Sw>);
        set.Add(Addi.Encoding, &InstructionSet.Choose<Addi>);
        set.Add(Slti.Encoding, &InstructionSet.Choose<Slti>);
        set.Add(Sltiu.Encoding, &InstructionSet.Choose<Sltiu>);
        set.Add(Xori.Encoding, &InstructionSet.Choose<Xori>);
        set.Add(Ori.Encoding, &InstructionSet.Choose<Ori>);
        set.Add(Andi.Encoding, &InstructionSet.Choose<Andi>);
        set.Add(Slli.Encoding, &InstructionSet.Choose<Slli>);
        set.Add(Srli.Encoding, &InstructionSet.Choose<Srli>);
        set.Add(Srai.Encoding, &InstructionSet.Choose<Srai>);
        set.Add(Add.Encoding, &InstructionSet.Choose<Add>);
        set.Add(Sub.Encoding, &InstructionSet.Choose<Sub>);
        set.Add(Sll.Encoding, &InstructionSet.Choose<Sll>);
        set.Add(Slt.Encoding, &InstructionSet.Choose<Slt>);
        set.Add(Sltu.Encoding, &InstructionSet.Choose<Sltu>);
        set.Add(Xor.Encoding, &InstructionSet.Choose<Xor>);
        set.Add(Srl.Encoding, &InstructionSet.Choose<Srl>);
        set.Add(Sra.Encoding, &InstructionSet.Choose<Sra>);
        set.Add(Or.Encoding, &InstructionSet.Choose<Or>);
        set.Add(And.Encoding, &InstructionSet.Choose<And>);
        set.Add(Fence.Encoding, &InstructionSet.Choose<Fence>);
    }
}

/// <summary>rd = imm.</summary>
internal readonly struct Lui : IInstruction
{
    public static Encoding Encoding => Encoding.OfOpcode("lui", InstructionFormat.U, 0x37);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Constant((ulong)o.Imm));
}

/// <summary>rd = pc + imm.</summary>
internal readonly struct Auipc : IInstruction
{
    public static Encoding Encoding => Encoding.OfOpcode("auipc", InstructionFormat.U, 0x17, InstructionForm.PcRelative);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.PcPlus(o.Imm));
}

/// <summary>rd = next pc; pc += offset.</summary>
internal readonly struct Jal : IInstruction
{
    public static Encoding Encoding => Encoding.OfOpcode("jal", InstructionFormat.J, 0x6f, InstructionForm.Jump);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        b.Write(o.Rd, b.NextPc());
        return b.Jump(o.Imm);
    }
}

/// <summary>rd = next pc; pc = (rs1 + imm) without its lowest bit.</summary>
internal readonly struct Jalr : IInstruction
{
    public static Encoding Encoding => Encoding.Of("jalr", InstructionFormat.Load, 0x67, 0, InstructionForm.JumpRegister);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        V target = b.And(b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Constant(~1UL));
        b.Write(o.Rd, b.NextPc());
        return b.JumpTo(target);
    }
}

/// <summary>Branches where rs1 and rs2 compare as eq.</summary>
internal readonly struct Beq : IInstruction
{
    public static Encoding Encoding => Encoding.Of("beq", InstructionFormat.B, 0x63, 0, InstructionForm.Branch);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Branch(Comparison.Equal, b.Read(o.Rs1), b.Read(o.Rs2), o.Imm);
}

/// <summary>Branches where rs1 and rs2 compare as ne.</summary>
internal readonly struct Bne : IInstruction
{
    public static Encoding Encoding => Encoding.Of("bne", InstructionFormat.B, 0x63, 1, InstructionForm.Branch);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Branch(Comparison.NotEqual, b.Read(o.Rs1), b.Read(o.Rs2), o.Imm);
}

/// <summary>Branches where rs1 and rs2 compare as lt.</summary>
internal readonly struct Blt : IInstruction
{
    public static Encoding Encoding => Encoding.Of("blt", InstructionFormat.B, 0x63, 4, InstructionForm.Branch);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Branch(Comparison.Less, b.Read(o.Rs1), b.Read(o.Rs2), o.Imm);
}

/// <summary>Branches where rs1 and rs2 compare as ge.</summary>
internal readonly struct Bge : IInstruction
{
    public static Encoding Encoding => Encoding.Of("bge", InstructionFormat.B, 0x63, 5, InstructionForm.Branch);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Branch(Comparison.GreaterOrEqual, b.Read(o.Rs1), b.Read(o.Rs2), o.Imm);
}

/// <summary>Branches where rs1 and rs2 compare as ltu.</summary>
internal readonly struct Bltu : IInstruction
{
    public static Encoding Encoding => Encoding.Of("bltu", InstructionFormat.B, 0x63, 6, InstructionForm.Branch);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Branch(Comparison.LessUnsigned, b.Read(o.Rs1), b.Read(o.Rs2), o.Imm);
}

/// <summary>Branches where rs1 and rs2 compare as geu.</summary>
internal readonly struct Bgeu : IInstruction
{
    public static Encoding Encoding => Encoding.Of("bgeu", InstructionFormat.B, 0x63, 7, InstructionForm.Branch);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Branch(Comparison.GreaterOrEqualUnsigned, b.Read(o.Rs1), b.Read(o.Rs2), o.Imm);
}

/// <summary>rd = memory at rs1 + imm, as SignedByte.</summary>
internal readonly struct Lb : IInstruction
{
    public static Encoding Encoding => Encoding.Of("lb", InstructionFormat.Load, 0x03, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        if (!b.Load(MemoryWidth.SignedByte, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value))
            return false;
        return b.Write(o.Rd, value);
    }
}

/// <summary>rd = memory at rs1 + imm, as SignedHalf.</summary>
internal readonly struct Lh : IInstruction
{
    public static Encoding Encoding => Encoding.Of("lh", InstructionFormat.Load, 0x03, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        if (!b.Load(MemoryWidth.SignedHalf, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value))
            return false;
        return b.Write(o.Rd, value);
    }
}

/// <summary>rd = memory at rs1 + imm, as SignedWord.</summary>
internal readonly struct Lw : IInstruction
{
    public static Encoding Encoding => Encoding.Of("lw", InstructionFormat.Load, 0x03, 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        if (!b.Load(MemoryWidth.SignedWord, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value))
            return false;
        return b.Write(o.Rd, value);
    }
}

/// <summary>rd = memory at rs1 + imm, as Byte.</summary>
internal readonly struct Lbu : IInstruction
{
    public static Encoding Encoding => Encoding.Of("lbu", InstructionFormat.Load, 0x03, 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        if (!b.Load(MemoryWidth.Byte, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value))
            return false;
        return b.Write(o.Rd, value);
    }
}

/// <summary>rd = memory at rs1 + imm, as Half.</summary>
internal readonly struct Lhu : IInstruction
{
    public static Encoding Encoding => Encoding.Of("lhu", InstructionFormat.Load, 0x03, 5);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct
    {
        if (!b.Load(MemoryWidth.Half, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), out V value))
            return false;
        return b.Write(o.Rd, value);
    }
}

/// <summary>Memory at rs1 + imm = rs2, as Byte.</summary>
internal readonly struct Sb : IInstruction
{
    public static Encoding Encoding => Encoding.Of("sb", InstructionFormat.S, 0x23, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Store(MemoryWidth.Byte, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(o.Rs2));
}

/// <summary>Memory at rs1 + imm = rs2, as Half.</summary>
internal readonly struct Sh : IInstruction
{
    public static Encoding Encoding => Encoding.Of("sh", InstructionFormat.S, 0x23, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Store(MemoryWidth.Half, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(o.Rs2));
}

/// <summary>Memory at rs1 + imm = rs2, as Word.</summary>
internal readonly struct Sw : IInstruction
{
    public static Encoding Encoding => Encoding.Of("sw", InstructionFormat.S, 0x23, 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Store(MemoryWidth.Word, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)), b.Read(o.Rs2));
}

/// <summary>rd = rs1 + imm.</summary>
internal readonly struct Addi : IInstruction
{
    public static Encoding Encoding => Encoding.Of("addi", InstructionFormat.I, 0x13, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 &lt; imm.</summary>
internal readonly struct Slti : IInstruction
{
    public static Encoding Encoding => Encoding.Of("slti", InstructionFormat.I, 0x13, 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Compare(Comparison.Less, b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 &lt; imm, unsigned.</summary>
internal readonly struct Sltiu : IInstruction
{
    public static Encoding Encoding => Encoding.Of("sltiu", InstructionFormat.I, 0x13, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Compare(Comparison.LessUnsigned, b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 ^ imm.</summary>
internal readonly struct Xori : IInstruction
{
    public static Encoding Encoding => Encoding.Of("xori", InstructionFormat.I, 0x13, 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Xor(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 | imm.</summary>
internal readonly struct Ori : IInstruction
{
    public static Encoding Encoding => Encoding.Of("ori", InstructionFormat.I, 0x13, 6);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Or(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 &amp; imm.</summary>
internal readonly struct Andi : IInstruction
{
    public static Encoding Encoding => Encoding.Of("andi", InstructionFormat.I, 0x13, 7);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.And(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 &lt;&lt; shamt.</summary>
internal readonly struct Slli : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("slli", InstructionFormat.Shift, 0x13, 1, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftLeft(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 &gt;&gt; shamt, logical.</summary>
internal readonly struct Srli : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("srli", InstructionFormat.Shift, 0x13, 5, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftRightLogical(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 &gt;&gt; shamt, arithmetic.</summary>
internal readonly struct Srai : IInstruction
{
    public static Encoding Encoding => Encoding.Of6("srai", InstructionFormat.Shift, 0x13, 5, 0x10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftRightArithmetic(b.Read(o.Rs1), b.Constant((ulong)o.Imm)));
}

/// <summary>rd = rs1 + rs2.</summary>
internal readonly struct Add : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("add", InstructionFormat.R, 0x33, 0, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Add(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 - rs2.</summary>
internal readonly struct Sub : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sub", InstructionFormat.R, 0x33, 0, 0x20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Sub(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 &lt;&lt; rs2.</summary>
internal readonly struct Sll : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sll", InstructionFormat.R, 0x33, 1, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftLeft(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 &lt; rs2.</summary>
internal readonly struct Slt : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("slt", InstructionFormat.R, 0x33, 2, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Compare(Comparison.Less, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 &lt; rs2, unsigned.</summary>
internal readonly struct Sltu : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sltu", InstructionFormat.R, 0x33, 3, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Compare(Comparison.LessUnsigned, b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 ^ rs2.</summary>
internal readonly struct Xor : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("xor", InstructionFormat.R, 0x33, 4, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Xor(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 &gt;&gt; rs2, logical.</summary>
internal readonly struct Srl : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("srl", InstructionFormat.R, 0x33, 5, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftRightLogical(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 &gt;&gt; rs2, arithmetic.</summary>
internal readonly struct Sra : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("sra", InstructionFormat.R, 0x33, 5, 0x20);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.ShiftRightArithmetic(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 | rs2.</summary>
internal readonly struct Or : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("or", InstructionFormat.R, 0x33, 6, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.Or(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>rd = rs1 &amp; rs2.</summary>
internal readonly struct And : IInstruction
{
    public static Encoding Encoding => Encoding.Of7("and", InstructionFormat.R, 0x33, 7, 0x00);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Write(o.Rd, b.And(b.Read(o.Rs1), b.Read(o.Rs2)));
}

/// <summary>Orders memory accesses; every fence is a full one here. Zihintpause's PAUSE and fence.tso are encodings of it.</summary>
internal readonly struct Fence : IInstruction
{
    public static Encoding Encoding => Encoding.Of("fence", InstructionFormat.Fence, 0x0f, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Fence();
}
