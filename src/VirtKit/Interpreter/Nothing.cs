using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>Stands where a handler has no first instruction.</summary>
internal readonly struct Nothing : IInstruction
{
    public static bool Define<B, V>(ref B b, in Operands o) where B : struct, IBackend<V>, allows ref struct where V : struct => true;
}
