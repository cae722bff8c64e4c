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
        cpu.NextPc = next;
        bool done = ((delegate*<GuestCpu, in Operands, out ulong, bool>)_functions[instruction.Row])(cpu, instruction.Operands, out ulong computed);
        switch (instruction.Form)
        {
            case InstructionForm.Branch:
                next = done ? cpu.Pc + (ulong)instruction.Operands.Imm : next;
                return true;
            case InstructionForm.Jump:
                next = cpu.Pc + (ulong)instruction.Operands.Imm;
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
        public nint Of<T>(InstructionForm form) where T : struct, IInstruction => (nint)(delegate*<GuestCpu, in Operands, out ulong, bool>)&Run<T>;

        private static bool Run<T>(GuestCpu cpu, in Operands operands, out ulong target) where T : struct, IInstruction
        {
            var b = new InterpreterBackend<ShadowPath, CpuAddress>(cpu, (InterpreterContext*)cpu.Context, new CpuAddress(cpu));
            bool done = T.Define<InterpreterBackend<ShadowPath, CpuAddress>, ulong>(ref b, operands);
            target = b.Target;
            return done;
        }
    }
}
