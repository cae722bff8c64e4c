using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>The shared function of every instruction: its definition over the interpreter's slow path, by row.</summary>
internal sealed unsafe class FallbackTable : IInstructionVisitor
{
    private readonly nint[] _functions;

    public FallbackTable(InstructionSet set)
    {
        _functions = new nint[set.Rows.Count];
        set.Visit(this);
    }

    /// <returns>Whether the instruction completed; if not, a trap is recorded.</returns>
    public bool Run(int row, Hart hart, TranslatorContext* context, in Operands operands) => row < 0
        ? hart.IllegalInstruction()
        : ((delegate*<Hart, InterpreterContext*, in Operands, bool>)_functions[row])(hart, &context->Interpreter, operands);

    void IInstructionVisitor.Visit<T>(InstructionSet.Row row)
    {
        delegate*<Hart, InterpreterContext*, in Operands, bool> function = &Definition<T>.Run;
        _functions[row.Index] = (nint)function;
    }

    private static class Definition<T> where T : struct, IInstruction
    {
        // Nothing that gets here reads its own address: those instructions always have an emitter.
        public static bool Run(Hart hart, InterpreterContext* context, in Operands operands)
        {
            var b = new InterpreterBackend<SlowPath>(hart, context, null);
            return T.Define<InterpreterBackend<SlowPath>, ulong>(ref b, operands);
        }
    }
}
