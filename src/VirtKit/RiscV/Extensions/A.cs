using System.Runtime.CompilerServices;
using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>Atomic instructions (RV-Unpriv §14), each as word and double word. The aq and rl bits ask for less order than they always get.</summary>
internal static unsafe class A
{
    public static InstructionGroup Group => new("A", &AddTo, 0x2f);

    private static void AddTo(InstructionSet set)
    {
        AddWidth<S32>(set, ".w", 2);
        AddWidth<U64>(set, ".d", 3);
    }

    private static void AddWidth<W>(InstructionSet set, string suffix, uint funct3) where W : struct, IConstant<MemoryWidth>
    {
        set.Section("RV-Unpriv §14.2");
        set.Add(Encoding.Atomic("lr" + suffix, funct3, 0x02) with { Mask = 0xf9f0707f }, &Choose<LoadReserved<W>>);
        set.Add(Encoding.Atomic("sc" + suffix, funct3, 0x03), &Choose<StoreConditional<W>>);

        set.Section("RV-Unpriv §14.4");
        set.Add(Encoding.Atomic("amoswap" + suffix, funct3, 0x01), &Choose<Atomic<AmoSwap, W>>);
        set.Add(Encoding.Atomic("amoadd" + suffix, funct3, 0x00), &Choose<Atomic<AmoAdd, W>>);
        set.Add(Encoding.Atomic("amoxor" + suffix, funct3, 0x04), &Choose<Atomic<AmoXor, W>>);
        set.Add(Encoding.Atomic("amoand" + suffix, funct3, 0x0c), &Choose<Atomic<AmoAnd, W>>);
        set.Add(Encoding.Atomic("amoor" + suffix, funct3, 0x08), &Choose<Atomic<AmoOr, W>>);
        set.Add(Encoding.Atomic("amomin" + suffix, funct3, 0x10), &Choose<Atomic<AmoMin, W>>);
        set.Add(Encoding.Atomic("amomax" + suffix, funct3, 0x14), &Choose<Atomic<AmoMax, W>>);
        set.Add(Encoding.Atomic("amominu" + suffix, funct3, 0x18), &Choose<Atomic<AmoMinu, W>>);
        set.Add(Encoding.Atomic("amomaxu" + suffix, funct3, 0x1c), &Choose<Atomic<AmoMaxu, W>>);
    }
}

/// <summary>rd = memory at rs1, which is reserved. rs2 is 0.</summary>
internal readonly struct LoadReserved<W> : IInstruction where W : struct, IConstant<MemoryWidth>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.LoadReserved(W.Value, b.Read(o.Rs1), out V value) && b.Write(o.Rd, value);
}

/// <summary>Memory at rs1 = rs2 while the reservation holds; rd = whether it failed.</summary>
internal readonly struct StoreConditional<W> : IInstruction where W : struct, IConstant<MemoryWidth>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) =>
        b.StoreConditional(W.Value, b.Read(o.Rs1), b.Read(o.Rs2), out V failed) && b.Write(o.Rd, failed);
}

/// <summary>rd = memory at rs1, which becomes the operation's result with rs2, in one step.</summary>
internal readonly struct Atomic<O, W> : IInstruction where O : struct, IConstant<AtomicOperation> where W : struct, IConstant<MemoryWidth>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => b.Atomic(O.Value, W.Value, b.Read(o.Rs1), b.Read(o.Rs2), out V old) && b.Write(o.Rd, old);
}

internal readonly struct AmoSwap : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.Swap; }
internal readonly struct AmoAdd : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.Add; }
internal readonly struct AmoXor : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.Xor; }
internal readonly struct AmoAnd : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.And; }
internal readonly struct AmoOr : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.Or; }
internal readonly struct AmoMin : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.Min; }
internal readonly struct AmoMax : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.Max; }
internal readonly struct AmoMinu : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.MinUnsigned; }
internal readonly struct AmoMaxu : IConstant<AtomicOperation> { public static AtomicOperation Value => AtomicOperation.MaxUnsigned; }
