using VirtKit.Execution;
using VirtKit.Interpreter;

namespace VirtKit.Accel.Translator.Checking;

/// <summary>The definition of every instruction over the <see cref="ShadowPath"/>, by row.</summary>
internal sealed unsafe class ShadowTable(GuestInstructions set)
{
    private readonly FunctionTable _functions = new(set, new Definitions());

    /// <param name="instruction">An instruction that exists.</param>
    /// <param name="next">The address behind the instruction; on return, where execution goes on.</param>
    /// <returns>Whether the instruction completed.</returns>
    public bool Run(in DecodedInstruction instruction, GuestCpu cpu, ref ulong next)
    {
        // An op with its exits behind it, as the interpreter's block builder would have made it, and a literal.
        Op* op = stackalloc Op[6];
        new Span<Op>(op, 6).Clear();
        Operands operands = instruction.Operands;
        ulong target = cpu.Pc + (ulong)operands.Imm;
        op->Operands = operands;
        BlockExit.Next(op)->Pc = next;
        if (instruction.Form == InstructionForm.PcRelative)
        {
            *(ulong*)(op + 5) = target;
            op->Operands.Imm = 5 * sizeof(Op);
        }

        bool done = ((delegate*<GuestCpu, Op*, out ulong, bool>)_functions[instruction.Row])(cpu, op, out ulong computed);
        switch (instruction.Form)
        {
            case InstructionForm.Branch:
                next = done ? target : next;
                return true;
            case InstructionForm.Jump:
                next = target;
                return true;
            case InstructionForm.JumpRegister:
                next = computed;
                return true;
            default:
                return done;
        }
    }

    private sealed class Definitions : IInstructionFunctions
    {
        public nint Of<T>(InstructionForm form) where T : struct, IInstruction => (nint)(delegate*<GuestCpu, Op*, out ulong, bool>)&Run<T>;

        private static bool Run<T>(GuestCpu cpu, Op* op, out ulong target) where T : struct, IInstruction
        {
            var b = new InterpreterBackend<ShadowPath>(cpu, (InterpreterContext*)cpu.Context, op);
            bool done = T.Define<InterpreterBackend<ShadowPath>, ulong>(ref b, op->Operands);
            target = b.Target;
            return done;
        }
    }
}
