using VirtKit.Execution;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>The recording specialisation of every instruction's definition, by row.</summary>
internal sealed unsafe class RecorderTable(GuestInstructions set)
{
    private readonly FunctionTable _records = new(set, new Definitions());

    public void Record(int row, ref Recorder recorder, in Operands operands) =>
        ((delegate*<ref Recorder, in Operands, bool>)_records[row])(ref recorder, operands);

    private sealed class Definitions : IInstructionFunctions
    {
        public nint Of<T>(InstructionForm form) where T : struct, IInstruction => (nint)(delegate*<ref Recorder, in Operands, bool>)&Record<T>;

        private static bool Record<T>(ref Recorder recorder, in Operands operands) where T : struct, IInstruction => T.Define<Recorder, Value>(ref recorder, operands);
    }
}
