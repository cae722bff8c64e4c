using VirtKit.Execution;
using static VirtKit.RiscV.InstructionSet;

namespace VirtKit.RiscV.Extensions;

/// <summary>What RV64I adds to the base: double words, and arithmetic on words (RV-Unpriv §4).</summary>
internal static unsafe class I64
{
    public static InstructionGroup Group => new("I", &AddTo, 0x03, 0x13, 0x1b, 0x23, 0x33, 0x3b);

    private static void AddTo(InstructionSet set)
    {
        set.Section("RV-Unpriv §4.2.1");
        set.Add(Encoding.Of("addiw", InstructionFormat.I, 0x1b, 0), &Choose<RegisterImmediate<Word<Sum>>>);
        set.Add(Encoding.ShiftWord("slliw", 0x1b, 1, 0x00), &Choose<RegisterImmediate<Word<ShiftLeft>>>);
        set.Add(Encoding.ShiftWord("srliw", 0x1b, 5, 0x00), &Choose<RegisterImmediate<Word<OfUnsignedWord<ShiftRightLogical>>>>);
        set.Add(Encoding.ShiftWord("sraiw", 0x1b, 5, 0x20), &Choose<RegisterImmediate<OfWord<ShiftRightArithmetic>>>);

        set.Section("RV-Unpriv §4.2.2");
        set.Add(Encoding.R("addw", 0x3b, 0, 0x00), &Choose<RegisterRegister<Word<Sum>>>);
        set.Add(Encoding.R("subw", 0x3b, 0, 0x20), &Choose<RegisterRegister<Word<Difference>>>);
        set.Add(Encoding.R("sllw", 0x3b, 1, 0x00), &Choose<RegisterRegister<Word<ByFiveBits<ShiftLeft>>>>);
        set.Add(Encoding.R("srlw", 0x3b, 5, 0x00), &Choose<RegisterRegister<Word<OfUnsignedWord<ByFiveBits<ShiftRightLogical>>>>>);
        set.Add(Encoding.R("sraw", 0x3b, 5, 0x20), &Choose<RegisterRegister<OfWord<ByFiveBits<ShiftRightArithmetic>>>>);

        set.Section("RV-Unpriv §4.3");
        set.Add(Encoding.Of("ld", InstructionFormat.Load, 0x03, 3), &Choose<Load<U64>>);
        set.Add(Encoding.Of("lwu", InstructionFormat.Load, 0x03, 6), &Choose<Load<U32>>);
        set.Add(Encoding.Of("sd", InstructionFormat.S, 0x23, 3), &Choose<Store<U64>>);
    }
}
