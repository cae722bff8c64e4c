using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>Stands where a handler has no first instruction.</summary>
internal readonly struct Nothing : IInstruction
{
    static bool IInstruction.Define<B, V>(ref B b, in Operands o) => true;
}
