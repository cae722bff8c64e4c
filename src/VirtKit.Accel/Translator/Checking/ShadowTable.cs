using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>The definition of every instruction over the <see cref="ShadowPath"/>, by row.</summary>
internal sealed unsafe class ShadowTable(InstructionSet set)
{
    private readonly FunctionTable _functions = new(set, new Definitions());

    /// <param name="next">The address behind the instruction; on return, where execution goes on.</param>
    /// <returns>Whether the instruction completed.</returns>
    public bool Run(InstructionSet.Row row, Hart hart, in Operands operands, ref ulong next) =>
        ((delegate*<Hart, in Operands, ref ulong, bool>)_functions[row.Index])(hart, operands, ref next);

    private sealed class Definitions : IInstructionFunctions
    {
        public nint Of<T>() where T : struct, IInstruction => (nint)(delegate*<Hart, in Operands, ref ulong, bool>)&Run<T>;

        private static bool Run<T>(Hart hart, in Operands operands, ref ulong next) where T : struct, IInstruction
        {
            // An op with its exits behind it, as the interpreter's block builder would have made it, and a literal.
            Op* op = stackalloc Op[6];
            new Span<Op>(op, 6).Clear();
            ulong pc = hart.State.Pc;
            op->Operands = operands;
            BlockExit.Next(op)->Pc = next;
            if (T.Encoding.Form == InstructionForm.PcRelative)
            {
                *(ulong*)(op + 5) = pc + (ulong)operands.Imm;
                op->Operands.Imm = 5 * sizeof(Op);
            }

            var b = new InterpreterBackend<ShadowPath>(hart, (InterpreterContext*)hart.Context, op);
            bool done = T.Define<InterpreterBackend<ShadowPath>, ulong>(ref b, op->Operands);
            switch (T.Encoding.Form)
            {
                case InstructionForm.Branch:
                    next = done ? pc + (ulong)operands.Imm : next;
                    return true;
                case InstructionForm.Jump:
                    next = pc + (ulong)operands.Imm;
                    return true;
                case InstructionForm.JumpRegister:
                    next = b.Target;
                    return true;
                default:
                    return done;
            }
        }
    }
}
