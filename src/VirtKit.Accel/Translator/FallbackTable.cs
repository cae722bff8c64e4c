using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator;

/// <summary>The shared function of every instruction: its definition over the interpreter's paths, by row.</summary>
internal sealed unsafe class FallbackTable(InstructionSet set)
{
    private readonly FunctionTable _functions = new(set, new Definitions());

    /// <returns>Whether the instruction completed; if not, a trap is recorded.</returns>
    public bool Run(int row, Hart hart, TranslatorContext* context, in Operands operands) => row < 0
        ? hart.IllegalInstruction()
        : ((delegate*<Hart, InterpreterContext*, in Operands, bool>)_functions[row])(hart, &context->Interpreter, operands);

    private sealed class Definitions : IInstructionFunctions
    {
        public nint Of<T>() where T : struct, IInstruction => (nint)(delegate*<Hart, InterpreterContext*, in Operands, bool>)&Run<T>;

        // Nothing that gets here reads its own address: those instructions always have an emitter.
        private static bool Run<T>(Hart hart, InterpreterContext* context, in Operands operands) where T : struct, IInstruction
        {
            // As the interpreter's handlers do: a walk where the TLB has the page would be seen by a guest that changed its tables without a fence.
            var fast = new InterpreterBackend<FastPath>(hart, context, null);
            if (T.Define<InterpreterBackend<FastPath>, ulong>(ref fast, operands))
                return true;
            var slow = new InterpreterBackend<SlowPath>(hart, context, null);
            return T.Define<InterpreterBackend<SlowPath>, ulong>(ref slow, operands);
        }
    }
}
