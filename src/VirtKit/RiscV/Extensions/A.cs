using System.Runtime.CompilerServices;
using VirtKit.Execution;

namespace VirtKit.RiscV.Extensions;

/// <summary>Atomic instructions (RV-Unpriv §14), each as word and double word. The aq and rl bits ask for less order than they always get.</summary>
internal static unsafe class A
{
    public const uint Opcode = 0x2f;

    public static InstructionGroup Group => new(&AddTo, 0x2f);

    private static void AddTo(InstructionSet set)
    {
        AddWidth<AtomicWord>(set);
        AddWidth<AtomicDouble>(set);
    }

    public static Encoding Row<W>(string name, uint funct5, uint extraMask = 0) where W : struct, IAtomicWidth =>
        new(name + W.Suffix, 0xf800707f | extraMask, Opcode | W.Funct3 << 12 | funct5 << 27, InstructionFormat.Atomic);

    private static void AddWidth<W>(InstructionSet set) where W : struct, IAtomicWidth
    {
        set.Add(LoadReserved<W>.Encoding, &InstructionSet.Choose<LoadReserved<W>>);
        set.Add(StoreConditional<W>.Encoding, &InstructionSet.Choose<StoreConditional<W>>);
        set.Add(Atomic<AmoSwap, W>.Encoding, &InstructionSet.Choose<Atomic<AmoSwap, W>>);
        set.Add(Atomic<AmoAdd, W>.Encoding, &InstructionSet.Choose<Atomic<AmoAdd, W>>);
        set.Add(Atomic<AmoXor, W>.Encoding, &InstructionSet.Choose<Atomic<AmoXor, W>>);
        set.Add(Atomic<AmoAnd, W>.Encoding, &InstructionSet.Choose<Atomic<AmoAnd, W>>);
        set.Add(Atomic<AmoOr, W>.Encoding, &InstructionSet.Choose<Atomic<AmoOr, W>>);
        set.Add(Atomic<AmoMin, W>.Encoding, &InstructionSet.Choose<Atomic<AmoMin, W>>);
        set.Add(Atomic<AmoMax, W>.Encoding, &InstructionSet.Choose<Atomic<AmoMax, W>>);
        set.Add(Atomic<AmoMinu, W>.Encoding, &InstructionSet.Choose<Atomic<AmoMinu, W>>);
        set.Add(Atomic<AmoMaxu, W>.Encoding, &InstructionSet.Choose<Atomic<AmoMaxu, W>>);
    }
}

/// <summary>lr: rd = memory at rs1, which is reserved.</summary>
internal readonly struct LoadReserved<W> : IInstruction where W : struct, IAtomicWidth
{
    public static Encoding Encoding => A.Row<W>("lr", 0x02, extraMask: 0x01f00000);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.LoadReserved(W.Width, b.Read(o.Rs1), out V value) && b.Write(o.Rd, value);
}

/// <summary>sc: memory at rs1 = rs2 while the reservation holds; rd = whether it failed.</summary>
internal readonly struct StoreConditional<W> : IInstruction where W : struct, IAtomicWidth
{
    public static Encoding Encoding => A.Row<W>("sc", 0x03);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.StoreConditional(W.Width, b.Read(o.Rs1), b.Read(o.Rs2), out V failed) && b.Write(o.Rd, failed);
}

/// <summary>amo: rd = memory at rs1, which becomes the operation's result with rs2, in one step.</summary>
internal readonly struct Atomic<T, W> : IInstruction where T : struct, IAmo where W : struct, IAtomicWidth
{
    public static Encoding Encoding => A.Row<W>(T.Name, T.Funct5);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct =>
        b.Atomic(T.Operation, W.Width, b.Read(o.Rs1), b.Read(o.Rs2), out V old) && b.Write(o.Rd, old);
}

internal interface IAtomicWidth
{
    static abstract string Suffix { get; }

    static abstract uint Funct3 { get; }

    static abstract MemoryWidth Width { get; }
}

internal readonly struct AtomicWord : IAtomicWidth
{
    public static string Suffix => ".w";

    public static uint Funct3 => 2;

    public static MemoryWidth Width => MemoryWidth.SignedWord;
}

internal readonly struct AtomicDouble : IAtomicWidth
{
    public static string Suffix => ".d";

    public static uint Funct3 => 3;

    public static MemoryWidth Width => MemoryWidth.Double;
}

internal interface IAmo
{
    static abstract string Name { get; }

    static abstract uint Funct5 { get; }

    static abstract AtomicOperation Operation { get; }
}

internal readonly struct AmoSwap : IAmo
{
    public static string Name => "amoswap";

    public static uint Funct5 => 0x01;

    public static AtomicOperation Operation => AtomicOperation.Swap;
}

internal readonly struct AmoAdd : IAmo
{
    public static string Name => "amoadd";

    public static uint Funct5 => 0x00;

    public static AtomicOperation Operation => AtomicOperation.Add;
}

internal readonly struct AmoXor : IAmo
{
    public static string Name => "amoxor";

    public static uint Funct5 => 0x04;

    public static AtomicOperation Operation => AtomicOperation.Xor;
}

internal readonly struct AmoAnd : IAmo
{
    public static string Name => "amoand";

    public static uint Funct5 => 0x0c;

    public static AtomicOperation Operation => AtomicOperation.And;
}

internal readonly struct AmoOr : IAmo
{
    public static string Name => "amoor";

    public static uint Funct5 => 0x08;

    public static AtomicOperation Operation => AtomicOperation.Or;
}

internal readonly struct AmoMin : IAmo
{
    public static string Name => "amomin";

    public static uint Funct5 => 0x10;

    public static AtomicOperation Operation => AtomicOperation.Min;
}

internal readonly struct AmoMax : IAmo
{
    public static string Name => "amomax";

    public static uint Funct5 => 0x14;

    public static AtomicOperation Operation => AtomicOperation.Max;
}

internal readonly struct AmoMinu : IAmo
{
    public static string Name => "amominu";

    public static uint Funct5 => 0x18;

    public static AtomicOperation Operation => AtomicOperation.MinUnsigned;
}

internal readonly struct AmoMaxu : IAmo
{
    public static string Name => "amomaxu";

    public static uint Funct5 => 0x1c;

    public static AtomicOperation Operation => AtomicOperation.MaxUnsigned;
}
