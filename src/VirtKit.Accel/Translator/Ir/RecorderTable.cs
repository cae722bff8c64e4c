using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Ir;

/// <summary>The recording specialisation of every instruction's definition, by row.</summary>
internal sealed unsafe class RecorderTable : IInstructionVisitor
{
    private readonly nint[] _records;

    public RecorderTable(InstructionSet set)
    {
        _records = new nint[set.Rows.Count];
        set.Visit(this);
    }

    public void Record(int row, ref Recorder recorder, in Operands operands) =>
        ((delegate*<ref Recorder, in Operands, bool>)_records[row])(ref recorder, operands);

    void IInstructionVisitor.Visit<T>(InstructionSet.Row row)
    {
        delegate*<ref Recorder, in Operands, bool> record = &Definition<T>.Record;
        _records[row.Index] = (nint)record;
    }

    private static class Definition<T> where T : struct, IInstruction
    {
        public static bool Record(ref Recorder recorder, in Operands operands) => T.Define<Recorder, Value>(ref recorder, operands);
    }
}
