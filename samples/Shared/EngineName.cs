using VirtKit.Engines;
using VirtKit.Interpreter;

namespace VirtKit.Samples;

/// <summary>The engines by the names that the option <c>--engine</c> takes.</summary>
internal static class EngineName
{
    public const string Default = "interpreter";

    public static IReadOnlyList<string> All { get; } = [Default];

    public static ExecutionEngine Create(string name) => name switch
    {
        Default => new InterpreterEngine(),
        _ => throw new ArgumentException($"There is no engine {name}.", nameof(name)),
    };
}
