using VirtKit.Accel.Translator;
using VirtKit.Engines;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Samples;

/// <summary>The engines by the names that the option <c>--engine</c> takes.</summary>
internal static class EngineName
{
    private const string Interpreter = "interpreter", Translator = "translator", CrossCheck = "translator-crosscheck";

    public static IReadOnlyList<string> All { get; } = [Interpreter, Translator, CrossCheck];

    /// <summary>The fastest that the host can use.</summary>
    public static string Default => EngineSelection.Choose(new RiscVArchitecture()).Engine.Name;

    public static ExecutionEngine Create(string name) => name switch
    {
        Interpreter => new InterpreterEngine(),
        Translator => new TranslatorEngine(),
        CrossCheck => new TranslatorEngine(new TranslatorOptions { CrossCheck = true }),
        _ => throw new ArgumentException($"There is no engine {name}.", nameof(name)),
    };
}
