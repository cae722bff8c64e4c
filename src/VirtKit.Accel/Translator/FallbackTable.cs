using VirtKit.Execution;
using VirtKit.Interpreter;

namespace VirtKit.Accel.Translator;

/// <summary>The shared function of every instruction: its definition over the paths that the interpreter has, by row.</summary>
internal sealed unsafe class FallbackTable(GuestInstructions set)
{
    private readonly FunctionTable _functions = new(set, new Definitions());

    /// <returns>Whether the instruction completed; if not, a trap is recorded.</returns>
    public bool Run(int row, GuestCpu cpu, TranslatorContext* context, in Operands operands) => row < 0
        ? cpu.IllegalInstruction()
        : ((delegate*<GuestCpu, InterpreterContext*, in Operands, bool>)_functions[row])(cpu, &context->Interpreter, operands);

    private sealed class Definitions : IInstructionFunctions
    {
        public nint Of<T>(InstructionForm form) where T : struct, IInstruction => (nint)(delegate*<GuestCpu, InterpreterContext*, in Operands, bool>)&Run<T>;

        private static bool Run<T>(GuestCpu cpu, InterpreterContext* context, in Operands operands) where T : struct, IInstruction
        {
            // As the interpreter's handlers do: a walk where the TLB has the page would be seen by a guest that changed its tables without a fence.
            var fast = new InterpreterBackend<FastPath, CpuAddress>(cpu, context, new CpuAddress(cpu));
            if (T.Define<InterpreterBackend<FastPath, CpuAddress>, ulong>(ref fast, operands))
                return true;
            var slow = new InterpreterBackend<SlowPath, CpuAddress>(cpu, context, new CpuAddress(cpu));
            return T.Define<InterpreterBackend<SlowPath, CpuAddress>, ulong>(ref slow, operands);
        }
    }
}
